// SPDX-License-Identifier: Apache-2.0

import CProcess
import DurableFiles
import NIOCore
import NIOPosix
import OCI
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// An upload that is one file, which grows.
///
/// The descriptor lives as long as the object, so no call can meet a closed one.
final class FileUpload: BlobUpload {
    /// How many bytes are worth sending to the disk before the end.
    private static let worthFlushing = 256 << 10
    /// From how many bytes on blocks are set aside for what follows, and for how much at once.
    private static let worthReserving: Int64 = 4 << 20
    private static let reservedSize: Int64 = 16 << 20
    /// How many bytes are read at once to hash what is there already.
    private static let readSize = 1 << 20

    let key: UploadKey
    let path: String
    let initialSize: Int64
    let descriptor: CInt
    /// Whether a blob may have these bytes, by another name of the file: they are not to be changed any more.
    private let isPlaced: Bool
    private let threads: NIOThreadPool
    /// Up to where blocks were set aside by this request; 0 for none.
    private let reservedEnd = Mutex<Int64>(0)

    /// Opens the file; blocks.
    /// - Parameter isNew: Makes the file, which must not be there.
    /// - Throws: `FileSystemError`.
    init(key: UploadKey, path: String, isNew: Bool, threads: NIOThreadPool) throws {
        self.key = key
        self.path = path
        self.threads = threads
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (isNew ? O_CREAT | O_EXCL : 0)
        self.descriptor = try systemCall("open", path) { open(path, flags, 0o600) }
        do {
            let status = try FileStatus(descriptor: self.descriptor, path: path)
            self.initialSize = status.size
            self.isPlaced = status.links > 1
        } catch {
            // deinit does not run for an object whose init throws.
            _ = Self.closeDescriptor(self.descriptor)
            throw error
        }
    }

    deinit { _ = Self.closeDescriptor(self.descriptor) }

    private static func closeDescriptor(_ descriptor: CInt) -> CInt {
        #if canImport(Glibc)
        Glibc.close(descriptor)
        #else
        Darwin.close(descriptor)
        #endif
    }

    func write(_ buffers: [ByteBuffer], at offset: Int64, hasher: Digest.Hasher?) async throws -> Digest.Hasher? {
        guard !self.isPlaced else { throw RegistryError.uploadUnknown }
        return try await self.threads.blocking {
            var hasher = hasher
            var position = offset
            self.reserve(upTo: buffers.reduce(offset) { $0 + Int64($1.readableBytes) })
            for buffer in buffers {
                try buffer.withUnsafeReadableBytes { bytes in
                    try DurableFile.write(bytes, to: self.descriptor, at: position, path: self.path)
                    hasher?.update(bufferPointer: bytes)
                    position += Int64(bytes.count)
                }
            }
            self.flush(from: offset, to: position)
            return hasher
        }
    }

    /// Has the disk work while more is received, so that the sync at the end finds little left to do.
    private func flush(from offset: Int64, to end: Int64) {
        guard end - offset >= Self.worthFlushing else { return }
        hallmark_begin_writeback(self.descriptor, offset, end - offset)
    }

    /// A large file gets its blocks in large pieces: that costs a fraction of the time, and leaves the file in fewer parts.
    private func reserve(upTo end: Int64) {
        guard end - self.initialSize > Self.worthReserving else { return }
        let start: Int64? = self.reservedEnd.withLock { reserved in
            guard end > reserved else { return nil }
            defer { reserved = end + Self.reservedSize }
            return max(reserved, self.initialSize)
        }
        guard let start else { return }
        hallmark_reserve_blocks(self.descriptor, start, end + Self.reservedSize - start)
    }

    /// Gives back the blocks behind the end, whether this request set them aside or one that ended in a crash.
    func settle(at size: Int64) async {
        guard !self.isPlaced, size > Self.worthReserving else { return }
        _ = try? await self.threads.blocking {
            let status = try FileStatus(descriptor: self.descriptor, path: self.path)
            guard status.size == size, status.allocatedSize > size + Self.worthReserving / 4 else { return }
            try systemCall("truncate", self.path) { ftruncate(self.descriptor, off_t(size)) }
            self.reservedEnd.withLock { $0 = 0 }
        }
    }

    func close() async {}

    func truncate(to offset: Int64) async throws {
        guard !self.isPlaced else { throw RegistryError.uploadUnknown }
        try await self.threads.blocking {
            try systemCall("truncate", self.path) { ftruncate(self.descriptor, off_t(offset)) }
        }
    }

    func sync() async throws {
        try await self.threads.blocking {
            try systemCall("fsync", self.path) { fsync(self.descriptor) }
        }
    }

    func hash(size: Int64, algorithm: Digest.Algorithm) async throws -> Digest.Hasher {
        var hasher = Digest.Hasher(algorithm)
        var offset: Int64 = 0
        // One block after the other, so that a large file does not keep a thread from everybody else.
        while offset < size {
            try Task.checkCancellation()
            let current = hasher
            let position = offset
            let count = Int(min(Int64(Self.readSize), size - offset))
            hasher = try await self.threads.blocking { try self.hash(at: position, count: count, into: current) }
            offset += Int64(count)
        }
        return hasher
    }

    private func hash(at offset: Int64, count: Int, into hasher: Digest.Hasher) throws -> Digest.Hasher {
        var hasher = hasher
        try withUnsafeTemporaryAllocation(byteCount: count, alignment: 16) { block in
            var done = 0
            while done < count {
                let read = try systemCall("read", self.path) {
                    pread(
                        self.descriptor,
                        block.baseAddress?.advanced(by: done),
                        count - done,
                        off_t(offset) + off_t(done)
                    )
                }
                guard read > 0 else { throw FileSystemError(operation: "read", path: self.path, number: EIO) }
                done += read
            }
            hasher.update(bufferPointer: UnsafeRawBufferPointer(block))
        }
        return hasher
    }
}
