// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Synchronization

/// Takes blobs in: bytes stream to the store and are hashed on the way; a blob appears when its digest is proven and its
/// bytes are durable.
final class UploadService: Sendable {
    struct Limits: Sendable {
        /// The largest blob, in bytes.
        var maximumBlobSize: Int64
        /// How many requests may receive bytes at the same time.
        var maximumReceiving: Int
        /// After how many seconds without bytes a request loses its upload to another one.
        var stallTime: TimeInterval
    }

    /// The bytes that a request carries, and what it says about them.
    struct Content: Sendable {
        let body: HTTPRequestBody
        /// `Content-Range`, for a chunk.
        let range: ClosedRange<Int64>?
        /// `Content-Length`, when there is one.
        let length: Int64?
    }

    /// How many uploads without a writer keep the state of their hash.
    private static let maximumIdle = 4096

    private let blobs: any BlobStore
    private let store: RegistryStore
    private let limits: Limits
    private let clock: @Sendable () -> Date
    private let makeID: @Sendable () -> UploadID
    private let logger: Logger
    private let sessions: Mutex<UploadSessions>

    init(
        blobs: any BlobStore,
        store: RegistryStore,
        limits: Limits,
        clock: @escaping @Sendable () -> Date,
        makeID: @escaping @Sendable () -> UploadID,
        logger: Logger
    ) {
        self.blobs = blobs
        self.store = store
        self.limits = limits
        self.clock = clock
        self.makeID = makeID
        self.logger = logger
        self.sessions = Mutex(
            UploadSessions(
                maximumLeases: limits.maximumReceiving,
                maximumIdle: Self.maximumIdle,
                stallTime: limits.stallTime
            )
        )
    }

    // MARK: - Requests

    /// Starts a session.
    /// - Parameter algorithm: What the digest at the end will most likely be of.
    func start(in repository: RepositoryName, algorithm: Digest.Algorithm?) async throws -> UploadKey {
        let key = UploadKey(repository: repository, id: self.makeID())
        _ = try await self.blobs.createUpload(key)
        if let algorithm {
            let checkpoint = UploadSessions.Checkpoint(offset: 0, hasher: Digest.Hasher(algorithm))
            self.sessions.withLock { $0.prepare(key, checkpoint: checkpoint) }
        }
        return key
    }

    /// How many bytes a session has.
    /// - Throws: ``RegistryError`` with code `blobUploadUnknown`.
    func offset(_ key: UploadKey) async throws -> Int64 {
        guard let size = try await self.blobs.uploadSize(key) else { throw RegistryError.uploadUnknown }
        return size
    }

    /// Appends a chunk.
    /// - Returns: How many bytes the session has then.
    func append(_ content: Content, to key: UploadKey) async throws -> Int64 {
        try await self.using(key) { upload, lease, checkpoint, kept in
            try await self.append(content, upload, lease, checkpoint, &kept)
        }
    }

    private func append(
        _ content: Content,
        _ upload: any BlobUpload,
        _ lease: UploadSessions.Lease,
        _ checkpoint: UploadSessions.Checkpoint?,
        _ kept: inout UploadSessions.Checkpoint?
    ) async throws -> Int64 {
        var receiver = self.receiver(upload, lease, checkpoint, .sha256)
        do {
            try await receiver.receive(content)
        } catch {
            kept = receiver.checkpoint
            throw error
        }
        kept = receiver.checkpoint
        if receiver.progress.offset - upload.initialSize >= upload.syncThreshold {
            do {
                try await upload.sync()
            } catch {
                // As in place(_:size:as:): what the system has of these bytes can no longer be known.
                kept = nil
                await self.forget(upload.key, after: error)
                throw error
            }
        }
        return receiver.progress.offset
    }

    /// Appends what the request carries, if anything, and makes the whole a blob of the repository.
    /// - Throws: ``RegistryError`` with code `digestInvalid` when the bytes are others; the session has ended then.
    func finish(_ content: Content, of key: UploadKey, as digest: Digest) async throws {
        try await self.using(key) { upload, lease, checkpoint, kept in
            try await self.finish(content, upload, lease, checkpoint, &kept, as: digest)
        }
    }

    private func finish(
        _ content: Content,
        _ upload: any BlobUpload,
        _ lease: UploadSessions.Lease,
        _ checkpoint: UploadSessions.Checkpoint?,
        _ kept: inout UploadSessions.Checkpoint?,
        as digest: Digest
    ) async throws {
        var receiver = self.receiver(upload, lease, checkpoint, digest.algorithm)
        do {
            try await receiver.receive(content)
        } catch {
            kept = receiver.checkpoint
            throw error
        }
        kept = receiver.checkpoint
        guard self.sessions.withLock({ $0.beginWriting(lease) }) else { throw RegistryError.uploadTakenOver }
        do {
            try await self.commit(upload, receiver.progress, as: digest)
        } catch let error as RegistryError where error.code == .digestInvalid {
            kept = nil
            throw error
        }
        kept = nil
    }

    /// Takes a blob in one request, with no session that others could see.
    func upload(_ content: Content, to repository: RepositoryName, as digest: Digest) async throws {
        let key = UploadKey(repository: repository, id: self.makeID())
        let (lease, _) = try self.acquire(key)
        defer { self.release(lease, nil) }
        let upload = try await self.blobs.createUpload(key)
        do {
            var receiver = self.receiver(upload, lease, nil, digest.algorithm)
            try await receiver.receive(content)
            try await self.commit(upload, receiver.progress, as: digest)
        } catch {
            await upload.close()
            await self.forget(key)
            throw error
        }
        await upload.close()
    }

    /// Ends a session and drops its bytes.
    func cancel(_ key: UploadKey) async throws {
        guard self.sessions.withLock({ $0.cancel(key) }) else { throw RegistryError.uploadBusy }
        guard try await self.blobs.removeUpload(key) else { throw RegistryError.uploadUnknown }
    }

    /// Gives a repository a blob that another one has.
    /// - Returns: False when it is not there to be had: the client uploads it then.
    func mount(_ digest: Digest, from source: RepositoryName?, to repository: RepositoryName) async throws -> Bool {
        try await self.store.mountBlob(digest, from: source, to: repository, at: self.now)
    }

    /// Drops the sessions that were last written before a time.
    func purge(lastWrittenBefore time: Date) async throws -> Int {
        try await self.blobs.removeUploads(lastWrittenBefore: time)
    }

    // MARK: - Leases

    private var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    private func acquire(_ key: UploadKey) throws -> (UploadSessions.Lease, UploadSessions.Checkpoint?) {
        let now = self.clock()
        switch self.sessions.withLock({ $0.acquire(key, at: now) }) {
        case .granted(let lease, let checkpoint):
            return (lease, checkpoint)
        case .busy:
            throw RegistryError.uploadBusy
        case .full:
            throw RegistryError(
                .tooManyRequests,
                "\(self.limits.maximumReceiving) uploads are being received, as many as may be; try again",
                headers: ["retry-after": "1"]
            )
        }
    }

    private func release(_ lease: UploadSessions.Lease, _ checkpoint: UploadSessions.Checkpoint?) {
        self.sessions.withLock { $0.release(lease, checkpoint: checkpoint) }
    }

    /// Opens an upload for one request.
    /// - Parameter body: Is given the upload, the lease on it and how far it has been hashed; leaves in the last one what the
    ///   next request can go on from.
    private func using<Result: Sendable>(
        _ key: UploadKey,
        _ body: (
            any BlobUpload, UploadSessions.Lease, UploadSessions.Checkpoint?, inout UploadSessions.Checkpoint?
        ) async throws -> Result
    ) async throws -> Result {
        let (lease, checkpoint) = try self.acquire(key)
        var kept: UploadSessions.Checkpoint?
        defer { self.release(lease, kept) }
        guard let upload = try await self.blobs.openUpload(key) else { throw RegistryError.uploadUnknown }
        do {
            let result = try await body(upload, lease, checkpoint, &kept)
            await upload.close()
            await Self.dropUnsaved(&kept, of: upload)
            return result
        } catch {
            await upload.close()
            await Self.dropUnsaved(&kept, of: upload)
            throw error
        }
    }

    /// A hash of bytes that were not saved would vouch for those that another instance writes in their place.
    private static func dropUnsaved(_ checkpoint: inout UploadSessions.Checkpoint?, of upload: any BlobUpload) async {
        if let saved = await upload.savedSize, checkpoint?.offset != saved { checkpoint = nil }
    }

    private func receiver(
        _ upload: any BlobUpload,
        _ lease: UploadSessions.Lease,
        _ checkpoint: UploadSessions.Checkpoint?,
        _ algorithm: Digest.Algorithm
    ) -> UploadReceiver {
        var hasher: Digest.Hasher?
        if let checkpoint, checkpoint.offset == upload.initialSize {
            hasher = checkpoint.hasher
        } else if upload.initialSize == 0 {
            hasher = Digest.Hasher(algorithm)
        }
        return UploadReceiver(
            upload: upload,
            progress: UploadReceiver.Progress(offset: upload.initialSize, hasher: hasher),
            maximumSize: self.limits.maximumBlobSize,
            receiving: { self.sessions.withLock { $0.leases } },
            beginWriting: { self.sessions.withLock { $0.beginWriting(lease) } },
            endWriting: {
                let now = self.clock()
                self.sessions.withLock { $0.endWriting(lease, at: now) }
            }
        )
    }

    // MARK: - Commit

    /// Proves the digest, makes the bytes durable, says that the blob exists, and drops the upload: in this order. When the same
    /// blob is there already its bytes stay, and these go.
    private func commit(_ upload: any BlobUpload, _ progress: UploadReceiver.Progress, as digest: Digest) async throws {
        var found = progress.hasher?.finalize()
        if found?.algorithm != digest.algorithm {
            found = try await upload.hash(size: progress.offset, algorithm: digest.algorithm).finalize()
        }
        guard found == digest else {
            await self.forget(upload.key)
            throw RegistryError(
                .digestInvalid,
                "the \(progress.offset) bytes received hash to \(found.map(String.init(describing:)) ?? "nothing"), "
                    + "not to \(digest); start the upload again",
                detail: ["digest": digest.description]
            )
        }
        try await self.keep(upload, size: progress.offset, as: digest)
        await self.forget(upload.key)
    }

    private func keep(_ upload: any BlobUpload, size: Int64, as digest: Digest) async throws {
        let settlement = BlobSettlement(
            store: self.store,
            blobs: self.blobs,
            foreign: nil,
            clock: self.clock,
            logger: self.logger
        )
        _ = try await settlement.settle(digest, size: size, in: upload.key.repository) {
            do {
                return (try await self.blobs.place(upload, as: digest), size)
            } catch {
                // A sync that failed cannot be repeated: the system may have dropped the bytes and would not say so again.
                await self.forget(upload.key, after: error)
                throw error
            }
        }
    }

    /// Drops an upload that failed, unless it is another request's by now.
    private func forget(_ key: UploadKey, after error: any Error) async {
        if let error = error as? RegistryError, error.items == RegistryError.uploadTakenOver.items { return }
        await self.forget(key)
    }

    /// Drops an upload whose bytes nobody needs any more. If that fails the purge does it later.
    private func forget(_ key: UploadKey) async {
        do {
            try await self.blobs.removeUpload(key)
        } catch {
            self.logger.warning("an upload stays until the purge", metadata: ["id": "\(key.id)", "error": "\(error)"])
        }
    }
}

extension RegistryError {
    static var uploadBusy: RegistryError {
        RegistryError(
            .rangeInvalid,
            "another request is writing to this upload; ask where it is, then go on from there"
        )
    }

    static var uploadTakenOver: RegistryError {
        RegistryError(.blobUploadInvalid, "another request has taken this upload over")
    }
}
