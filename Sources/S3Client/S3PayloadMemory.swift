// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import FoundationEssentials
import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Bounds the memory of all payloads that are gathered at the same time. A payload that gets no more goes on in a file without a
/// name: so one whose bytes come slowly keeps nobody else waiting, and none is refused.
package final class S3PayloadMemory: Sendable {
    /// Where those files are made.
    fileprivate let directory: String
    private let free: Mutex<Int>

    /// - Parameters:
    ///   - bytes: for all payloads together.
    ///   - directory: on a file system of a disk; made with the first file when it is not there.
    package init(bytes: Int, directory: String) {
        self.free = Mutex(bytes)
        self.directory = directory
    }

    private func take(_ count: Int) -> Bool {
        self.free.withLock { free in
            guard count <= free else { return false }
            free -= count
            return true
        }
    }

    private func giveBack(_ count: Int) { self.free.withLock { $0 += count } }

    /// What one payload has of it, until nobody holds it any more.
    final class Share: Sendable {
        let memory: S3PayloadMemory
        private let held = Mutex(0)

        init(_ memory: S3PayloadMemory) { self.memory = memory }

        deinit { self.giveBack() }

        func take(_ count: Int) -> Bool {
            guard self.memory.take(count) else { return false }
            self.held.withLock { $0 += count }
            return true
        }

        func giveBack() {
            let count = self.held.withLock { held in
                defer { held = 0 }
                return held
            }
            self.memory.giveBack(count)
        }
    }
}

/// The bytes of a payload in a file without a name, which is gone with the object, or with the process.
final class SpilledPayload: Sendable {
    private let descriptor: CInt
    private let path: String

    /// Makes the file. Blocks.
    /// - Throws: `FileSystemError`.
    init(_ memory: S3PayloadMemory) throws {
        let name = String(UInt64.random(in: .min ... .max), radix: 16)
        let path = "\(memory.directory)/part-\(name).tmp"
        self.path = path
        do {
            self.descriptor = try Self.make(path)
        } catch let error as FileSystemError where error.number == ENOENT {
            try FileManager.default.createDirectory(
                atPath: memory.directory,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
            self.descriptor = try Self.make(path)
        }
        _ = unlink(path)
    }

    private static func make(_ path: String) throws -> CInt {
        try systemCall("open", path) { open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600) }
    }

    deinit { _ = close(self.descriptor) }

    /// Adds bytes. Blocks.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        try DurableFile.write(bytes, to: self.descriptor, at: Int64(offset), path: self.path)
    }

    /// Bytes that were written. Blocks.
    func read(at offset: Int, count: Int) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        while buffer.readableBytes < count {
            let (start, missing) = (offset + buffer.readableBytes, count - buffer.readableBytes)
            let read = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: missing) { bytes in
                try systemCall("read", self.path) {
                    pread(self.descriptor, bytes.baseAddress, min(missing, bytes.count), off_t(start))
                }
            }
            guard read > 0 else { throw FileSystemError(operation: "read", path: self.path, number: EIO) }
        }
        return buffer
    }
}
