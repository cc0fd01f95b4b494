// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import FoundationEssentials
package import HTTPService
package import NIOCore
package import NIOPosix
package import OCI

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Blobs and uploads as files under one directory, which one process uses at a time:
///
///     blobs/<algorithm>/<first two digits>/<digits>-<id>    a blob; the id is its own
///     uploads/<id>-<hash of the repository's name>      an upload; its length is the offset, its time the last write
///     identity                                          tells it from other directories of blobs
///     lock                                              held by the process that uses the directory
package final class FileBlobStore: BlobStore {
    private let root: String
    private let uploads: String
    let threads: NIOThreadPool
    private let lock: FileLock?

    /// Makes the directories that are not there, and takes the uploads in them for this process.
    /// - Parameters:
    ///   - root: The directory.
    ///   - takesUploads: False for a process that works on blobs beside the one that takes uploads in.
    ///   - threads: Where files are read and written.
    /// - Throws: `FileSystemError`; with `EWOULDBLOCK` when another process takes uploads in.
    package init(root: String, takesUploads: Bool = true, threads: NIOThreadPool = .singleton) async throws {
        self.root = root
        self.uploads = root + "/uploads"
        self.threads = threads
        self.lock = try await threads.blocking {
            try Self.makeDirectories(root: root)
            return takesUploads ? try FileLock(path: root + "/lock") : nil
        }
    }

    package func close() async throws {
        self.lock?.release()
    }

    // MARK: - Identity

    package var place: String { self.root }

    private static let maximumIdentity = 1_024

    package func identity() async throws -> String? {
        try await self.threads.blocking {
            guard let bytes = try DurableFile.read(self.root + "/identity", limit: Self.maximumIdentity) else {
                return nil
            }
            return StorageIdentity.name(in: bytes)
        }
    }

    package func setIdentity(_ identity: String) async throws {
        try await self.threads.blocking {
            _ = try DurableFile.create(self.root + "/identity", with: Array((identity + "\n").utf8))
        }
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

    package func place(_ upload: any BlobUpload, as digest: Digest) async throws -> BlobLocation {
        guard let upload = upload as? FileUpload else {
            throw FileSystemError(operation: "link", path: "\(digest)", number: EXDEV)
        }
        // A name that nobody has ever had: one that an earlier try has left may be removed at any time.
        var generator = SystemRandomNumberGenerator()
        let location = BlobLocation(of: digest, id: UploadID(using: &generator))
        try await self.threads.blocking {
            let path = self.path(of: location)
            try systemCall("link", path) { link(upload.path, path) }
            do {
                // The link comes first: on journalling file systems the sync of the file then carries the new name along,
                // and the sync of the directory finds nothing left to do. Both are needed to be sure everywhere.
                try systemCall("fsync", path) { fsync(upload.descriptor) }
                try DurableFile.syncDirectory(DurableFile.directory(of: path))
            } catch {
                _ = try? Self.remove(path)
                throw error
            }
        }
        return location
    }

    package func size(at location: BlobLocation) async throws -> Int64? {
        try await self.threads.blocking { try FileStatus(path: self.path(of: location))?.size }
    }

    package func body(at location: BlobLocation, size: Int64, range: Range<Int64>) async throws -> HTTPResponse.Body? {
        try await self.threads.blocking {
            guard let file = try self.open(location) else { return nil }
            let isWhole = try file.withUnsafeFileDescriptor {
                try FileStatus(descriptor: $0, path: self.path(of: location)).size == size
            }
            guard isWhole else {
                try file.close()
                return nil
            }
            return .file(HTTPFileBody(file: file, range: range))
        }
    }

    package func read(at location: BlobLocation, range: Range<Int64>) async throws -> ByteBuffer? {
        try await self.threads.blocking {
            guard let file = try self.open(location) else { return nil }
            defer { try? file.close() }
            var buffer = ByteBuffer()
            var offset = range.lowerBound
            while offset < range.upperBound {
                let count = Int(range.upperBound - offset)
                let read = try file.withUnsafeFileDescriptor { descriptor in
                    try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
                        try systemCall("read", self.path(of: location)) {
                            pread(descriptor, bytes.baseAddress, min(count, bytes.count), off_t(offset))
                        }
                    }
                }
                guard read > 0 else { return nil }
                offset += Int64(read)
            }
            return buffer
        }
    }

    package func remove(at location: BlobLocation) async throws {
        try await self.threads.blocking { _ = try Self.remove(self.path(of: location)) }
    }

    package func page(after location: BlobLocation?, limit: Int) async throws -> [StoredBytes] {
        let after = location?.description ?? ""
        return try await self.threads.blocking {
            var page: [StoredBytes] = []
            for algorithm in Digest.Algorithm.allCases.map(\.rawValue).sorted() {
                for byte in UInt8.min...UInt8.max {
                    let directory = algorithm + "/" + Self.name(of: byte)
                    // What begins with the directory's name and a slash comes before what begins with it and a tilde.
                    guard directory + "/~" > after else { continue }
                    let names = try FileManager.default.contentsOfDirectory(atPath: "\(self.root)/blobs/\(directory)")
                    for location in names.compactMap({ try? BlobLocation(directory + "/" + $0) }).sorted()
                    where location.description > after {
                        guard let status = try FileStatus(path: self.path(of: location)), status.isRegular else {
                            continue
                        }
                        page.append(
                            StoredBytes(location: location, size: status.size, placedAt: status.changedAt)
                        )
                        guard page.count < limit else { return page }
                    }
                }
            }
            return page
        }
    }

    private func open(_ location: BlobLocation) throws -> NIOFileHandle? {
        let path = self.path(of: location)
        let descriptor = try Self.unlessMissing {
            #if canImport(Glibc)
            try systemCall("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
            #else
            try systemCall("open", path) { Darwin.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
            #endif
        }
        return descriptor.map { NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: $0) }
    }

    func path(of location: BlobLocation) -> String { "\(self.root)/blobs/\(location)" }
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
            let names = (UInt8.min...UInt8.max).map(self.name)
            try self.makeDirectory(parent)
            for name in names.dropLast() { try self.makeDirectory(parent + "/" + name) }
            try DurableFile.syncDirectory(parent)
            try self.makeDirectory(last)
            try DurableFile.syncDirectory(parent)
        }
        try DurableFile.syncDirectory(root + "/blobs")
        try DurableFile.syncDirectory(root)
    }

    private static func name(of byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

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
