// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import NIOCore
import NIOPosix
import OCI

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// How a file came to be a blob.
enum Adoption: Sendable {
    /// The same file under another name.
    case linked
    case copied
}

extension FileBlobStore {
    /// Makes a file's bytes durable at a location that has never been used before: under another name of the same file where
    /// the file system can, else as a copy, which shares its blocks where that can be had. The file must be one that nobody
    /// writes to.
    ///
    /// What stands at the location is hashed, not what the file's name may lead to by now.
    /// - Returns: Where it is, its size, and how it came there; nil when there is no such file.
    /// - Throws: ``ImportError`` when the bytes are not those of the digest, `FileSystemError`. Nothing stands at the location
    ///   then.
    func adopt(_ file: String, as digest: Digest) async throws -> (location: BlobLocation, size: Int64, Adoption)? {
        var generator = SystemRandomNumberGenerator()
        let location = BlobLocation(of: digest, id: UploadID(using: &generator))
        return try await self.threads.blocking {
            let path = self.path(of: location)
            guard let status = try FileStatus(path: file), status.isRegular else { return nil }
            let adoption: Adoption
            if link(file, path) == 0 {
                adoption = .linked
            } else {
                guard [EXDEV, EPERM, EACCES, EMLINK, ENOTSUP].contains(errno) else {
                    throw FileSystemError(operation: "link", path: path, number: errno)
                }
                try Self.copy(file, to: path)
                adoption = .copied
            }
            do {
                let size = try Self.prove(path, digest)
                try DurableFile.syncDirectory(DurableFile.directory(of: path))
                return (location, size, adoption)
            } catch {
                _ = unlink(path)
                throw error
            }
        }
    }

    /// Hashes a file, and sees that it is on the disk.
    private static func prove(_ path: String, _ digest: Digest) throws -> Int64 {
        guard let file = try SourceFile(path) else { throw ImportError(description: "its data went away") }
        var hasher = Digest.Hasher(digest.algorithm)
        var size: Int64 = 0
        while case let piece = try file.read(at: size), piece.readableBytes > 0 {
            piece.withUnsafeReadableBytes { hasher.update(bufferPointer: $0) }
            size += Int64(piece.readableBytes)
        }
        let found = hasher.finalize()
        guard found == digest else {
            throw ImportError(description: "its data of \(size) bytes has the digest \(found)")
        }
        try file.sync()
        return size
    }

    private static func copy(_ file: String, to path: String) throws {
        guard let source = try SourceFile(file) else { throw ImportError(description: "its data went away") }
        do {
            let target = try CopiedFile(path)
            guard !target.sharesBlocks(of: source) else { return }
            var offset: Int64 = 0
            while case let piece = try source.read(at: offset), piece.readableBytes > 0 {
                try target.write(piece, at: offset)
                offset += Int64(piece.readableBytes)
            }
        } catch {
            _ = unlink(path)
            throw error
        }
    }
}
