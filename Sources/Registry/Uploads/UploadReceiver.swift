// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import OCI

/// Receives the body of one request into an upload.
///
/// Bytes are collected to batches; while one batch is hashed and written on a thread of its own, the next is received.
/// So a request holds two batches at most, which are the smaller the more requests receive.
struct UploadReceiver {
    /// How far the upload is.
    struct Progress: Sendable {
        var offset: Int64
        /// The hash of everything up to the offset; nil when it is not known, as after a restart.
        var hasher: Digest.Hasher?
    }

    /// How many bytes are written at once, at most and at least, and how many of all requests that receive together.
    private static let batchSizes = (32 << 10)...(1 << 20)
    private static let batchesOfAll = 4 << 20
    /// How many bytes of small pieces go into one buffer.
    private static let gatheredSize = 16 << 10

    let upload: any BlobUpload
    private(set) var progress: Progress
    let maximumSize: Int64
    /// How many requests receive at the moment.
    let receiving: @Sendable () -> Int
    /// False when the upload is no longer this request's.
    let beginWriting: @Sendable () -> Bool
    let endWriting: @Sendable () -> Void

    init(
        upload: any BlobUpload,
        progress: Progress,
        maximumSize: Int64,
        receiving: @escaping @Sendable () -> Int,
        beginWriting: @escaping @Sendable () -> Bool,
        endWriting: @escaping @Sendable () -> Void
    ) {
        self.upload = upload
        self.progress = progress
        self.maximumSize = maximumSize
        self.receiving = receiving
        self.beginWriting = beginWriting
        self.endWriting = endWriting
    }

    /// What the next request can go on from.
    var checkpoint: UploadSessions.Checkpoint? {
        self.progress.hasher.map { UploadSessions.Checkpoint(offset: self.progress.offset, hasher: $0) }
    }

    /// Receives the whole body. When the connection ends before the body does, what has come is kept; when the request
    /// turns out to be wrong or cannot be stored, the upload is what it was before.
    mutating func receive(_ content: UploadService.Content) async throws {
        let start = self.progress
        try self.check(content, at: start.offset)
        do {
            try await self.stream(content.body, limit: self.limit(content, at: start.offset))
            let received = self.progress.offset - start.offset
            if let range = content.range, received != range.upperBound - range.lowerBound + 1 {
                throw RegistryError(
                    .sizeInvalid,
                    "Content-Range \(range.lowerBound)-\(range.upperBound), but \(received) bytes came"
                )
            }
        } catch is ConnectionLost {
            throw RegistryError(.blobUploadInvalid, "the connection ended within the body", status: .badRequest)
        } catch {
            await self.restore(start)
            throw error
        }
    }

    private func check(_ content: UploadService.Content, at offset: Int64) throws {
        guard let range = content.range else { return }
        guard range.lowerBound == offset else {
            throw RegistryError(
                .rangeInvalid,
                "the chunk begins at \(range.lowerBound), the upload goes on at \(offset)"
            )
        }
        if let length = content.length, length != range.upperBound - range.lowerBound + 1 {
            throw RegistryError(
                .sizeInvalid,
                "Content-Range \(range.lowerBound)-\(range.upperBound) does not fit Content-Length \(length)"
            )
        }
    }

    /// Where the bytes of this request must end at the latest.
    private func limit(_ content: UploadService.Content, at offset: Int64) throws -> Int64 {
        let (end, overflows) = offset.addingReportingOverflow(content.length ?? 0)
        guard !overflows, end <= self.maximumSize else { throw self.tooLarge }
        return content.range.map { min(self.maximumSize, $0.upperBound + 1) } ?? self.maximumSize
    }

    private var tooLarge: RegistryError {
        RegistryError(
            .sizeInvalid,
            "blobs may have \(self.maximumSize) bytes at most",
            status: .payloadTooLarge
        )
    }

    /// The client went away within the body.
    private struct ConnectionLost: Error {}

    private mutating func stream(_ body: HTTPRequestBody, limit: Int64) async throws {
        let start = self.progress
        let (final, isCut) = try await withThrowingTaskGroup(of: Progress.self) { group in
            var progress = start
            var received = start.offset
            var batch: [ByteBuffer] = []
            var batchBytes = 0
            var batchSize = self.batchSize
            var isWriting = false
            var isCut = false
            var iterator = body.makeAsyncIterator()
            receiving: while true {
                let buffer: ByteBuffer
                do {
                    guard let next = try await iterator.next() else { break receiving }
                    buffer = next
                } catch {
                    isCut = true
                    break receiving
                }
                received += Int64(buffer.readableBytes)
                guard received <= limit else {
                    if isWriting { _ = try await group.next() }
                    throw limit == self.maximumSize
                        ? self.tooLarge : RegistryError(.sizeInvalid, "more bytes came than Content-Range says")
                }
                Self.add(buffer, to: &batch)
                batchBytes += buffer.readableBytes
                guard batchBytes >= batchSize else { continue }
                if isWriting, let done = try await group.next() { progress = done }
                let (full, base, writer) = (batch, progress, self)
                group.addTask { try await writer.write(full, from: base) }
                (batch, batchBytes, isWriting) = ([], 0, true)
                batchSize = self.batchSize
            }
            if isWriting, let done = try await group.next() { progress = done }
            if !batch.isEmpty { progress = try await self.write(batch, from: progress) }
            return (progress, isCut)
        }
        self.progress = final
        await self.settle()
        if isCut { throw ConnectionLost() }
    }

    /// Memory is bounded whatever many clients send: each has its share.
    private var batchSize: Int {
        let share = Self.batchesOfAll / max(1, self.receiving())
        return min(max(share, Self.batchSizes.lowerBound), Self.batchSizes.upperBound)
    }

    /// A buffer that came in a small part of the memory it was read into is copied to the others of its kind: a client
    /// that sends a byte at a time would else have each of them keep a whole read's memory.
    private static func add(_ buffer: ByteBuffer, to batch: inout [ByteBuffer]) {
        guard buffer.readableBytes < buffer.storageCapacity / 2 else { return batch.append(buffer) }
        if let last = batch.indices.last, batch[last].writableBytes >= buffer.readableBytes {
            batch[last].writeImmutableBuffer(buffer)
        } else {
            var gathered = ByteBuffer()
            gathered.reserveCapacity(minimumWritableBytes: max(Self.gatheredSize, buffer.readableBytes))
            gathered.writeImmutableBuffer(buffer)
            batch.append(gathered)
        }
    }

    private func write(_ buffers: [ByteBuffer], from progress: Progress) async throws -> Progress {
        guard self.beginWriting() else { throw RegistryError.uploadTakenOver }
        defer { self.endWriting() }
        let hasher = try await self.upload.write(buffers, at: progress.offset, hasher: progress.hasher)
        let count = buffers.reduce(into: Int64(0)) { $0 += Int64($1.readableBytes) }
        return Progress(offset: progress.offset + count, hasher: hasher)
    }

    private func settle() async {
        guard self.beginWriting() else { return }
        defer { self.endWriting() }
        await self.upload.settle(at: self.progress.offset)
    }

    /// Makes the upload what it was, unless it belongs to somebody else by now.
    private mutating func restore(_ start: Progress) async {
        self.progress = start
        guard self.beginWriting() else { return }
        defer { self.endWriting() }
        // Should this fail too, then the upload is longer than its checkpoint and is hashed anew at the end.
        try? await self.upload.truncate(to: start.offset)
    }
}
