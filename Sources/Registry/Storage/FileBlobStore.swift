// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import FoundationEssentials
package import HTTPService
import NIOCore
package import NIOPosix
package import OCI

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Blobs and uploads as files under one directory, which one process uses at a time:
///
///     blobs/<algorithm>/<first two digits>/<digits>     a blob
///     uploads/<id>-<hash of the repository's name>      an upload; its length is the offset, its time the last write
///     lock                                              held by the process that uses the directory
package final class FileBlobStore: BlobStore {
    private let root: String
    private let uploads: String
    private let threads: NIOThreadPool
    private let lock: FileLock

    /// Makes the directories that are not there, and takes the directory for this process.
    /// - Throws: ``FileSystemError``; with `EWOULDBLOCK` when another process uses the directory.
    package init(root: String, threads: NIOThreadPool = .singleton) async throws {
        self.root = root
        self.uploads = root + "/uploads"
        self.threads = threads
        self.lock = try await threads.blocking {
            try Self.makeDirectories(root: root)
            return try FileLock(path: root + "/lock")
        }
    }

    package func close() async throws {
        self.lock.release()
    }

    // MARK: - Uploads

    package func createUpload(_ key: UploadKey) async throws -> any BlobUpload {
        try await self.threads.blocking {
            try FileUpload(key: key, path: self.path(of: key), isNew: true, threads: self.threads)
        }
    }

    package func openUpload(_ key: UploadKey) async throws -> (any BlobUpload)? {
        try await self.threads.blocking {
            try Self.unlessMissing {
                try FileUpload(key: key, path: self.path(of: key), isNew: false, threads: self.threads)
            }
        }
    }

    package func uploadSize(_ key: UploadKey) async throws -> Int64? {
        try await self.threads.blocking { try FileStatus(path: self.path(of: key))?.size }
    }

    package func removeUpload(_ key: UploadKey) async throws -> Bool {
        try await self.threads.blocking { try Self.remove(self.path(of: key)) }
    }

    package func removeUploads(lastWrittenBefore time: Date) async throws -> Int {
        try await self.threads.blocking {
            var removed = 0
            for name in try FileManager.default.contentsOfDirectory(atPath: self.uploads) {
                let path = self.uploads + "/" + name
                guard let status = try FileStatus(path: path),
                    TimeInterval(status.modifiedAt) < time.timeIntervalSince1970
                else { continue }
                if try Self.remove(path) { removed += 1 }
            }
            return removed
        }
    }

    /// The repository is part of the name, so an id is worth nothing in another one. Its hash, as a name may be longer
    /// than a file's.
    private func path(of key: UploadKey) -> String {
        let hash = Digest(hashing: Array(key.repository.description.utf8)).encoded.prefix(32)
        return "\(self.uploads)/\(key.id)-\(hash)"
    }

    // MARK: - Blobs

    package func place(_ upload: any BlobUpload, as digest: Digest, replacing: Bool) async throws -> Bool {
        guard let upload = upload as? FileUpload else {
            throw FileSystemError(operation: "link", path: "\(digest)", number: EXDEV)
        }
        return try await self.threads.blocking {
            let directory = self.directory(of: digest)
            let path = directory + "/" + digest.encoded
            if replacing { try Self.remove(path) }
            do {
                try systemCall("link", path) { link(upload.path, path) }
            } catch let error as FileSystemError where error.number == EEXIST {
                return false
            }
            do {
                // The link comes first: on journalling file systems the sync of the file then carries the new name along,
                // and the sync of the directory finds nothing left to do. Both are needed to be sure everywhere.
                try systemCall("fsync", path) { fsync(upload.descriptor) }
                try DurableFile.syncDirectory(directory)
            } catch {
                _ = try? Self.remove(path)
                throw error
            }
            return true
        }
    }

    package func blobSize(_ digest: Digest) async throws -> Int64? {
        try await self.threads.blocking { try FileStatus(path: self.path(of: digest))?.size }
    }

    package func body(of digest: Digest, size: Int64, range: Range<Int64>) async throws -> HTTPResponse.Body? {
        try await self.threads.blocking {
            let path = self.path(of: digest)
            let opened = try Self.unlessMissing {
                try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
            }
            guard let descriptor = opened else { return nil }
            let file = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: descriptor)
            guard let status = try? FileStatus(descriptor: descriptor, path: path), status.size == size else {
                try file.close()
                return nil
            }
            return .file(HTTPFileBody(file: file, range: range))
        }
    }

    package func removeBlob(_ digest: Digest) async throws {
        try await self.threads.blocking { _ = try Self.remove(self.path(of: digest)) }
    }

    private func directory(of digest: Digest) -> String {
        "\(self.root)/blobs/\(digest.algorithm.rawValue)/\(digest.encoded.prefix(2))"
    }

    private func path(of digest: Digest) -> String { self.directory(of: digest) + "/" + digest.encoded }
}

extension FileBlobStore {
    private static func makeDirectories(root: String) throws {
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try self.makeDirectory(root + "/uploads")
        try self.makeDirectory(root + "/blobs")
        for algorithm in Digest.Algorithm.allCases {
            let parent = "\(root)/blobs/\(algorithm.rawValue)"
            // Made when the others are durable, so where it is they are, and a start need not look for each.
            let last = parent + "/ff"
            if try FileStatus(path: last) != nil { continue }
            let names = (UInt8.min...UInt8.max).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            try self.makeDirectory(parent)
            for name in names.dropLast() { try self.makeDirectory(parent + "/" + name) }
            try DurableFile.syncDirectory(parent)
            try self.makeDirectory(last)
            try DurableFile.syncDirectory(parent)
        }
        try DurableFile.syncDirectory(root + "/blobs")
        try DurableFile.syncDirectory(root)
    }

    private static func makeDirectory(_ path: String) throws {
        guard mkdir(path, 0o700) == -1, errno != EEXIST else { return }
        throw FileSystemError(operation: "mkdir", path: path, number: errno)
    }

    private static func unlessMissing<Result>(
        _ call: () throws -> Result
    ) throws -> Result? {
        do {
            return try call()
        } catch let error as FileSystemError where error.number == ENOENT {
            return nil
        }
    }

    @discardableResult
    private static func remove(_ path: String) throws -> Bool {
        try self.unlessMissing { try systemCall("unlink", path) { unlink(path) } } != nil
    }
}
