// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Takes in a blob piece by piece, counts and hashes it, and gives it its name only when it is what was asked for.
///
/// A writer that is dropped before ``commit()`` removes what it has. Calls block.
public final class BlobWriter: Sendable {
    private struct State {
        var file: OutputFile?
        var hasher: Digest.Hasher
        var count: Int64 = 0
    }

    /// What is taken in.
    public let descriptor: Descriptor
    private let temporaryPath: String
    private let path: String
    private let state: Mutex<State>

    init(_ descriptor: Descriptor, temporaryPath: String, path: String) throws {
        self.descriptor = descriptor
        self.temporaryPath = temporaryPath
        self.path = path
        let state = try State(
            file: OutputFile(creating: temporaryPath),
            hasher: Digest.Hasher(descriptor.digest.algorithm)
        )
        self.state = Mutex(state)
    }

    deinit {
        if self.state.withLock({ $0.file != nil }) { FileTree.removeFile(self.temporaryPath) }
    }

    /// How many bytes came so far: where to go on after an interruption.
    public var count: Int64 { self.state.withLock { $0.count } }

    /// Adds bytes.
    /// - Throws: ``OCIError`` with code `digestMismatch` as soon as there are more than the descriptor says, so that
    ///   endless content does not fill the disk; `inputOutput`.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        try self.state.withLock { state in
            guard let file = state.file else {
                throw OCIError(.inputOutput, "\(self.descriptor.digest) was written already")
            }
            guard Int64(bytes.count) <= self.descriptor.size - state.count else {
                throw OCIError(
                    .digestMismatch,
                    "content of \(self.descriptor.digest) has more than the \(self.descriptor.size) bytes its descriptor says"
                )
            }
            try file.write(bytes)
            state.hasher.update(bufferPointer: bytes)
            state.count += Int64(bytes.count)
        }
    }

    /// Verifies length and digest, makes the content durable and gives it its name.
    /// - Throws: ``OCIError`` with code `digestMismatch`; then, what came is removed.
    public func commit() throws {
        try self.state.withLock { state in
            guard let file = state.file else {
                throw OCIError(.inputOutput, "\(self.descriptor.digest) was written already")
            }
            let found = state.hasher.finalize()
            guard state.count == self.descriptor.size, found == self.descriptor.digest else {
                throw OCIError(
                    .digestMismatch,
                    """
                    content of \(self.descriptor.digest), \(self.descriptor.size) bytes, \
                    has the digest \(found) and \(state.count) bytes
                    """
                )
            }
            try file.finish()
            try FileTree.rename(self.temporaryPath, to: self.path)
            state.file = nil
        }
    }
}
