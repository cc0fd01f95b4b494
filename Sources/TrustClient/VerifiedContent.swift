// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import FoundationEssentials
import TUF

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where content goes that has been verified.
package enum ContentDestination: Sendable, Hashable {
    case nowhere
    case standardOutput
    case file(String)
}

extension FoundTarget {
    /// Reads content and hands it on, if it is what is listed. Not a byte of it reaches the destination before all of it has been
    /// read and verified: until then it lies in a temporary file. What is longer than it should be is not read to its end.
    ///
    /// - Throws: ``TrustClientError`` with code `contentMismatch`, or `storage`.
    package func pass(_ source: ContentSource, to destination: ContentDestination) async throws {
        try await BlockingWork.wait {
            do {
                var verifier = try ContentVerifier(self.file, format: .notary)
                switch destination {
                case .nowhere:
                    try source.read { try verifier.update($0) }
                    try verifier.finish()
                case .standardOutput: try Self.spool(source, &verifier) { try $0.copy(to: STDOUT_FILENO) }
                case .file(let path): try Self.write(source, &verifier, path)
                }
            } catch let error as TUFError {
                throw TrustClientError(
                    .contentMismatch,
                    "what came from \(source.name) is not \(self.name) as \(self.role) has signed it: \(error.message)",
                    refusal: error
                )
            } catch let error as FileSystemError {
                throw TrustClientError(.storage, error.description)
            }
        }
    }

    /// Holds content in a file that nobody else sees until it is verified.
    private static func spool(
        _ source: ContentSource,
        _ verifier: inout ContentVerifier,
        _ handOn: (TemporaryContent) throws -> Void
    ) throws {
        let temporary = try TemporaryContent()
        defer { temporary.release() }
        var length: Int64 = 0
        try source.read { bytes in
            try verifier.update(bytes)
            try temporary.write(bytes, at: length)
            length += Int64(bytes.count)
        }
        try verifier.finish()
        try handOn(temporary)
    }

    /// Replaces a file, or writes into what is there if it is none, such as a device.
    private static func write(_ source: ContentSource, _ verifier: inout ContentVerifier, _ path: String) throws {
        let present = DurableFile.mode(of: path)
        guard present?.isRegular ?? true else {
            return try self.spool(source, &verifier) { temporary in
                let descriptor = try systemCall("open", path) { open(path, O_WRONLY | O_CLOEXEC) }
                defer { close(descriptor) }
                try temporary.copy(to: descriptor)
            }
        }
        // Where the path is a link, what it leads to is replaced.
        let target = present != nil ? URL(fileURLWithPath: path).resolvingSymlinksInPath().path : path
        let name = "\(DurableFile.directory(of: target))/.\(UInt64.random(in: .min ... .max)).tmp"
        let mode = mode_t(present?.permissions ?? 0o666)
        let descriptor = try systemCall("create", path) { open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode) }
        do {
            defer { close(descriptor) }
            var length: Int64 = 0
            try source.read { bytes in
                try verifier.update(bytes)
                try DurableFile.write(bytes, to: descriptor, at: length, path: path)
                length += Int64(bytes.count)
            }
            try verifier.finish()
            try systemCall("sync", path) { fsync(descriptor) }
            try DurableFile.move(name, to: target)
        } catch {
            unlink(name)
            throw error
        }
    }
}

/// A file without a name.
private struct TemporaryContent {
    private let descriptor: CInt
    private let path: String

    init() throws {
        let path = FileManager.default.temporaryDirectory.path + "/hallmark.\(UInt64.random(in: .min ... .max)).tmp"
        self.path = path
        self.descriptor = try systemCall("create", path) { open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
        unlink(path)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try DurableFile.write(bytes, to: self.descriptor, at: offset, path: self.path)
    }

    func copy(to output: CInt) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var offset: off_t = 0
        while true {
            let count = try systemCall("read", self.path) { pread(self.descriptor, &buffer, buffer.count, offset) }
            if count == 0 { return }
            offset += off_t(count)
            var done = 0
            while done < count {
                done += try buffer.withUnsafeBytes { bytes in
                    try systemCall("write", "the verified content") {
                        systemWrite(output, bytes.baseAddress?.advanced(by: done), count - done)
                    }
                }
            }
        }
    }

    func release() { close(self.descriptor) }
}

/// The system's, which a method of the same name hides.
private func systemWrite(_ descriptor: CInt, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
