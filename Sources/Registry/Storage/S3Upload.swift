// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import S3Client
import Synchronization

/// An upload to S3 of which this request has the lease.
///
/// Bytes are gathered to parts, and each part is durable, and known to every instance, before the next is begun. What is left
/// at the end and shorter than a part becomes an object of its own; when it is all there is, that object is the blob.
actor S3Upload: BlobUpload {
    /// After how long without one the lease is renewed.
    private static let renewalInterval: TimeInterval = 3

    nonisolated let key: UploadKey
    nonisolated let initialSize: Int64
    /// Every byte counts: what is not an object is in this process's memory only.
    nonisolated let syncThreshold: Int64 = 1

    private let store: S3BlobStore
    private let lease: String
    /// What it was when this request opened it.
    private let initial: S3UploadTable.State
    /// What the database says.
    private var state: S3UploadTable.State
    /// The bytes after the last part; nil when they have not been read back.
    private var gathered: GatheredBytes?
    private var renewedAt: Date
    /// Objects that nothing needs once this request is done.
    private var obsolete: [BlobLocation] = []
    /// Whether somebody else may have joined the parts.
    private var isUncertain = false
    private var isClosed = false

    init(store: S3BlobStore, key: UploadKey, lease: String, state: S3UploadTable.State) {
        self.store = store
        self.key = key
        self.lease = lease
        self.initial = state
        self.state = state
        self.initialSize = state.size
        self.gathered = state.tail == nil ? GatheredBytes(store.newPayload()) : nil
        self.renewedAt = store.clock()
        // What an earlier request made of it may not have been looked at.
        self.isUncertain = state.phase != .open
    }

    /// What was saved while this request had the lease: other requests only add to it.
    var savedSize: Int64? { self.state.size }

    private var partsEnd: Int64 { S3PartPlan.offset(ofPart: self.state.parts + 1) }

    /// How many bytes there are, durable or not.
    private var size: Int64 { self.gathered.map { self.partsEnd + Int64($0.count) } ?? self.state.size }

    func write(_ buffers: [ByteBuffer], at offset: Int64, hasher: Digest.Hasher?) async throws -> Digest.Hasher? {
        guard buffers.contains(where: { $0.readableBytes > 0 }) else { return hasher }
        guard self.state.phase == .open, offset == self.size else {
            throw RegistryError(.blobUploadInvalid, "all bytes of this upload have come; end it")
        }
        return try await self.store.finishing { try await self.add(buffers, hasher) }
    }

    private func add(_ buffers: [ByteBuffer], _ hasher: Digest.Hasher?) async throws -> Digest.Hasher? {
        try await self.readTail()
        if self.store.clock().timeIntervalSince(self.renewedAt) >= Self.renewalInterval {
            try await self.store.table.renew(self.key, self.lease)
            self.renewedAt = self.store.clock()
        }
        var hasher = hasher
        var rest = buffers[...]
        while !rest.isEmpty {
            guard let partSize = S3PartPlan.size(ofPart: self.state.parts + 1) else {
                throw RegistryError(
                    .sizeInvalid,
                    "blobs may have \(S3PartPlan.maximumSize) bytes at most",
                    status: .payloadTooLarge
                )
            }
            let gathered = self.gathered ?? GatheredBytes(self.store.newPayload())
            self.gathered = gathered
            let (pieces, known) = (rest, hasher)
            (rest, hasher) = try await self.store.threads.blocking {
                try gathered.take(pieces, upTo: partSize, known)
            }
            if gathered.count == partSize { try await self.sendPart(gathered.payload) }
        }
        return hasher
    }

    /// Brings the bytes after the last part back into memory.
    private func readTail() async throws {
        guard self.gathered == nil else { return }
        let gathered = GatheredBytes(self.store.newPayload())
        if let tail = self.state.tail {
            let length = self.state.size - self.partsEnd
            guard let body = try await self.store.client.getObject(self.store.key(tail)), body.length == length else {
                throw self.store.lost(self.key, tail)
            }
            try await body.read { [threads = self.store.threads] buffer in
                try await threads.blocking { _ = try gathered.take([buffer], upTo: .max, nil) }
            }
        }
        self.gathered = gathered
    }

    /// Makes a part of what was gathered.
    private func sendPart(_ payload: S3Payload) async throws {
        var state = self.state
        if state.multipart == nil {
            let target = self.store.newLocation()
            state.multipart = try await self.leased { [client = self.store.client, key = self.store.key(target)] in
                try await client.createMultipartUpload(key)
            }
            state.target = target
            try await self.save(state)
        }
        let part = try await self.upload(payload, as: state.parts + 1)
        state.parts += 1
        state.size = S3PartPlan.offset(ofPart: state.parts + 1)
        let old = state.tail
        state.tail = nil
        try await self.save(state, part: part)
        if let old { self.obsolete.append(old) }
        self.gathered = GatheredBytes(self.store.newPayload())
    }

    private func upload(_ payload: S3Payload, as number: Int) async throws -> S3Part {
        guard let target = self.state.target, let multipart = self.state.multipart else {
            throw self.store.lost(self.key, nil)
        }
        return try await self.leased { [client = self.store.client, key = self.store.key(target)] in
            try await client.uploadPart(key, upload: multipart, number: number, payload)
        }
    }

    private func save(_ state: S3UploadTable.State, part: S3Part? = nil) async throws {
        try await self.store.table.save(state, part: part, self.key, self.lease)
        self.renewedAt = self.store.clock()
        self.state = state
    }

    /// Does something that may take long, and keeps the lease meanwhile.
    private func leased<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let (table, key, lease) = (self.store.table, self.key, self.lease)
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                while !Task.isCancelled {
                    do {
                        try await Task.sleep(for: .seconds(Self.renewalInterval))
                        try await table.renew(key, lease)
                    } catch {
                        // Whether the lease is lost is found out when what was done is to be saved.
                    }
                }
                return nil
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() ?? nil else { throw CancellationError() }
            return result
        }
    }

    func truncate(to offset: Int64) async throws {
        guard offset == self.initial.size, self.state.phase == .open else {
            throw RegistryError(.blobUploadInvalid, "this upload cannot go back to \(offset) bytes")
        }
        try await self.store.finishing { try await self.goBack() }
    }

    /// Parts that came after count no longer, and are written over.
    private func goBack() async throws {
        self.gathered = nil
        guard self.state != self.initial else { return }
        var state = self.initial
        // Begun meanwhile, and as good for what comes now.
        (state.target, state.multipart) = (self.state.target, self.state.multipart)
        let newer = self.state.tail
        self.obsolete.removeAll { $0 == state.tail }
        try await self.save(state)
        if let newer, newer != state.tail { self.obsolete.append(newer) }
    }

    func sync() async throws {
        try await self.store.finishing { try await self.saveTail() }
    }

    private func saveTail() async throws {
        guard self.state.phase == .open, let payload = self.gathered?.payload, self.size != self.state.size else {
            return
        }
        var state = self.state
        let tail = try await self.put(payload)
        let old = state.tail
        (state.tail, state.size) = (tail, self.size)
        // When this fails it may still have been done: the object stays, and the collector finds it if nothing names it.
        try await self.save(state)
        if let old { self.obsolete.append(old) }
    }

    private func put(_ payload: S3Payload) async throws -> BlobLocation {
        let location = self.store.newLocation()
        try await self.leased { [client = self.store.client, key = self.store.key(location)] in
            try await client.putObject(key, payload)
        }
        return location
    }

    func hash(size: Int64, algorithm: Digest.Algorithm) async throws -> Digest.Hasher {
        if self.state.phase == .open, self.state.parts == 0, let payload = self.gathered?.payload {
            var hasher = Digest.Hasher(algorithm)
            for try await piece in payload.pieces {
                hasher = try await self.store.threads.blocking { [hasher] in
                    var hasher = hasher
                    piece.withUnsafeReadableBytes { hasher.update(bufferPointer: $0) }
                    return hasher
                }
            }
            return hasher
        }
        let whole = try await self.store.finishing { try await self.makeWhole(.whole) }
        return try await self.leased { [store = self.store] in
            try await store.hash(whole, size: size, algorithm: algorithm)
        }
    }

    /// Makes one object of all there is, which no byte is added to any more.
    private func makeWhole(_ phase: S3UploadTable.State.Phase) async throws -> BlobLocation {
        var state = self.state
        var unused: (target: BlobLocation, multipart: String)?
        var replaced: BlobLocation?
        if state.phase == .open {
            if state.parts > 0 {
                state.target = try await self.join()
                replaced = state.tail
            } else {
                // Begun for parts that turned out to be wrong.
                if let target = state.target, let multipart = state.multipart { unused = (target, multipart) }
                if let tail = state.tail, self.size == state.size {
                    state.target = tail
                } else {
                    state.target = try await self.put(
                        self.gathered?.payload ?? self.store.newPayload()
                    )
                    replaced = state.tail
                }
            }
            (state.phase, state.size, state.tail, state.multipart) = (phase, self.size, nil, nil)
        } else if phase == .placed {
            state.phase = .placed
        }
        guard let target = state.target else { throw self.store.lost(self.key, nil) }
        // Even when nothing changes: the row must still be there, or the target is nobody's.
        if state != self.state || state.phase == .placed { try await self.save(state) }
        if let replaced { self.obsolete.append(replaced) }
        self.gathered = nil
        if let unused { await self.store.abortQuietly(unused.target, unused.multipart) }
        return target
    }

    private func join() async throws -> BlobLocation {
        guard let target = self.state.target, let multipart = self.state.multipart else {
            throw self.store.lost(self.key, nil)
        }
        let (size, next) = (self.size, self.state.parts + 1)
        var parts = try await self.store.table.parts(self.key, count: self.state.parts)
        guard parts.count == self.state.parts else { throw self.store.lost(self.key, target) }
        do {
            if let payload = self.gathered?.payload {
                if payload.count > 0 { parts.append(try await self.upload(payload, as: next)) }
            } else if let tail = self.state.tail {
                parts.append(try await self.copy(tail, to: target, multipart, as: next))
            }
        } catch let error as S3Error where error.code == .noSuchUpload {
            // Joined before a process ended? What is there has to be seen.
            self.isUncertain = true
            guard try await self.store.size(at: target) == size else { throw self.store.lost(self.key, target) }
            return target
        }
        let all = parts
        try await self.leased { [store = self.store, key = self.key] in
            do {
                try await store.client.completeMultipartUpload(store.key(target), upload: multipart, parts: all)
            } catch let error as S3Error where error.code == .noSuchUpload {
                // Done before, and only the answer was lost? Then the object is there; what it is of has to be seen.
                await self.noteUncertainty()
            }
            guard try await store.size(at: target) == size else { throw store.lost(key, target) }
        }
        return target
    }

    private func copy(
        _ tail: BlobLocation,
        to target: BlobLocation,
        _ multipart: String,
        as number: Int
    ) async throws -> S3Part {
        try await self.leased { [store = self.store] in
            try await store.client.uploadPartCopy(
                store.key(target),
                upload: multipart,
                number: number,
                from: store.key(tail)
            )
        }
    }

    /// Makes all there is an object that no longer belongs to the upload.
    func place(as digest: Digest) async throws -> BlobLocation {
        try await self.store.finishing {
            let location = try await self.makeWhole(.placed)
            try await self.verifyIfUncertain(location, digest)
            return location
        }
    }

    private func noteUncertainty() { self.isUncertain = true }

    private func verifyIfUncertain(_ location: BlobLocation, _ digest: Digest) async throws {
        guard self.isUncertain else { return }
        let (size, algorithm) = (self.state.size, digest.algorithm)
        let hasher = try await self.leased { [store = self.store] in
            try await store.hash(location, size: size, algorithm: algorithm)
        }
        guard hasher.finalize() == digest else { throw self.store.lost(self.key, location) }
        self.isUncertain = false
    }

    func close() async {
        guard !self.isClosed else { return }
        self.isClosed = true
        do {
            try await self.store.finishing {
                await self.store.removeQuietly(await self.keepTail())
                // Of what was placed nothing is left but the row, for a moment.
                if await self.state.phase != .placed { try await self.store.table.release(self.key, self.lease) }
            }
        } catch {
            self.store.logger.info(
                "a lease is left to run out",
                metadata: ["id": "\(self.key.id)", "error": "\(error)"]
            )
        }
    }

    /// Saves what came before a connection broke, unless the upload has ended.
    /// - Returns: What can be removed.
    private func keepTail() async -> [BlobLocation] {
        do {
            if self.state.phase == .open, self.size != self.state.size {
                try await self.store.table.renew(self.key, self.lease)
                try await self.saveTail()
            }
        } catch {
            // The client learns from the offset that these bytes are to be sent again.
        }
        defer { self.obsolete = [] }
        return self.obsolete
    }
}

/// The bytes of a part that has yet to be sent. Changed in place, so that they are not copied.
private final class GatheredBytes: Sendable {
    private let content: Mutex<S3Payload>

    init(_ payload: S3Payload) { self.content = Mutex(payload) }

    var count: Int { self.content.withLock { $0.count } }

    /// What there is, to be sent.
    var payload: S3Payload { self.content.withLock { $0 } }

    /// Takes bytes until it is full. Blocks.
    /// - Returns: What is left, and the hash with what was taken.
    func take(
        _ buffers: ArraySlice<ByteBuffer>,
        upTo limit: Int,
        _ hasher: Digest.Hasher?
    ) throws -> (rest: ArraySlice<ByteBuffer>, hasher: Digest.Hasher?) {
        try self.content.withLock { payload in
            var (rest, hasher) = (buffers, hasher)
            while payload.count < limit, var buffer = rest.popFirst() {
                let count = min(limit - payload.count, buffer.readableBytes)
                try buffer.readWithUnsafeReadableBytes { bytes in
                    let piece = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                    try payload.append(copying: piece)
                    hasher?.update(bufferPointer: piece)
                    return count
                }
                if buffer.readableBytes > 0 { rest = [buffer] + rest }
            }
            return (rest, hasher)
        }
    }
}
