// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
import Foundation
package import TUF

/// Content that is read once, from its beginning to its end: a file, a pipe, or standard input.
package enum ContentSource: Sendable, Hashable {
    case standardInput
    case file(String)

    /// How messages call it.
    package var name: String {
        switch self {
        case .standardInput: "standard input"
        case .file(let path): path
        }
    }

    /// Reads piece by piece. Blocks, for as long as whoever writes into a pipe takes.
    /// - Throws: ``TrustClientError`` with code `storage`; what the body throws.
    func read(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        do {
            try self.withDescriptor { descriptor in
                var buffer = [UInt8](repeating: 0, count: 1 << 18)
                while true {
                    let count = try systemCall("read", self.name) {
                        Foundation.read(descriptor, &buffer, buffer.count)
                    }
                    if count == 0 { return }
                    try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
                }
            }
        } catch let error as FileSystemError {
            throw TrustClientError(.storage, error.description)
        }
    }

    private func withDescriptor(_ body: (CInt) throws -> Void) throws {
        guard case .file(let path) = self else { return try body(STDIN_FILENO) }
        let descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
        defer { close(descriptor) }
        try body(descriptor)
    }
}

extension TargetFile {
    /// Reads content and lists it as `notary` does: its length, SHA-256 and SHA-512.
    /// - Throws: ``TrustClientError`` with code `storage`.
    package init(contentOf source: ContentSource, custom: JSONValue? = nil) async throws {
        self = try await BlockingWork.wait {
            var (sha256, sha512) = (SHA256(), SHA512())
            var length: Int64 = 0
            try source.read { bytes in
                sha256.update(bufferPointer: bytes)
                sha512.update(bufferPointer: bytes)
                length += Int64(bytes.count)
            }
            let hashes = Hashes(["sha256": Array(sha256.finalize()), "sha512": Array(sha512.finalize())])
            return TargetFile(length: length, hashes: hashes, custom: custom)
        }
    }
}
