// SPDX-License-Identifier: Apache-2.0

package import Database
package import FoundationEssentials
package import HTTPAccess
package import HTTPService
package import Logging
package import NIOCore
package import NIOPosix
package import OCI
package import S3Client

/// Blobs and uploads as objects of one bucket, which any number of instances share that use the same database.
///
/// Objects have names that say nothing and that are never used twice: `<prefix><two digits>/<id>`. What an upload has written
/// is the blob in the end; nothing is copied or renamed.
package final class S3BlobStore: BlobStore {
    /// How clients get blobs from the storage itself.
    package struct Redirection: Sendable {
        /// Where clients reach the storage, if not where the registry does.
        package var endpoint: HTTPURL?
        /// How long a URL is good for, in seconds.
        package var lifetime: Int

        package init(endpoint: HTTPURL? = nil, lifetime: Int = 1200) {
            self.endpoint = endpoint
            self.lifetime = lifetime
        }
    }

    let client: S3Client
    let table: S3UploadTable
    let threads: NIOThreadPool
    let logger: Logger
    let clock: @Sendable () -> Date
    private let memory: S3PayloadMemory
    private let prefix: String
    private let redirection: Redirection?

    /// - Parameters:
    ///   - client: Reaches the bucket. The store shuts it down when it is closed.
    ///   - prefix: What all keys begin with; nobody else's may.
    ///   - redirection: How clients are sent to the storage; nil to serve all bytes.
    ///   - database: Where uploads are known. The registry's own, so that its tables are there.
    ///   - memory: For the parts of all uploads together.
    ///   - threads: Where bytes are hashed.
    ///   - clock: The time.
    package init(
        client: S3Client,
        prefix: String = "",
        redirection: Redirection? = nil,
        database: any SQLDatabase,
        memory: S3PayloadMemory,
        logger: Logger,
        threads: NIOThreadPool = .singleton,
        clock: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.client = client
        self.prefix = prefix
        self.redirection = redirection
        self.memory = memory
        self.threads = threads
        self.logger = logger
        self.clock = clock
        var generator = SystemRandomNumberGenerator()
        self.table = S3UploadTable(database: database, instance: "\(UploadID(using: &generator))", clock: clock)
    }

    package func close() async throws {
        try await self.client.shutdown()
    }

    /// Finds out whether the bucket can be used.
    /// - Throws: `S3Error` that says why not.
    package func check() async throws {
        _ = try await self.client.listObjects(prefix: self.prefix, limit: 1)
    }

    /// For bytes that are to become a part or an object.
    func newPayload() -> S3Payload { S3Payload(self.client.configuration.checksum, memory: self.memory) }

    func key(_ location: BlobLocation) -> String { self.prefix + location.description }

    /// A location that nobody has ever had. Its first digits spread the load over the storage's machines.
    func newLocation() -> BlobLocation {
        var generator = SystemRandomNumberGenerator()
        return BlobLocation(id: UploadID(using: &generator))
    }

    /// Does something to its end, even when the request that wanted it has gone.
    func finishing<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        // A task of its own, because there is no other way out of the caller's cancellation; it is waited for.
        try await Task { try await body() }.value
    }

    func lost(_ key: UploadKey, _ location: BlobLocation?) -> RegistryError {
        self.logger.error(
            "the storage has lost what an upload wrote",
            metadata: ["upload": "\(key.id)", "at": "\(location.map { self.key($0) } ?? "nowhere")"]
        )
        return RegistryError(.blobUploadInvalid, "what was received before is lost; start the upload again")
    }

    /// Removes objects that nothing names. Those that cannot be removed now are found by the collector.
    func removeQuietly(_ locations: [BlobLocation]) async {
        for location in locations {
            do {
                try await self.client.deleteObject(self.key(location))
            } catch {
                self.logger.info("an object stays for now", metadata: ["at": "\(location)", "error": "\(error)"])
            }
        }
    }

    /// Drops parts that nothing needs. If they cannot be dropped now the purge does it.
    func abortQuietly(_ target: BlobLocation, _ multipart: String) async {
        do {
            try await self.client.abortMultipartUpload(self.key(target), upload: multipart)
        } catch {
            self.logger.info("parts stay for now", metadata: ["at": "\(target)", "error": "\(error)"])
        }
    }

    // MARK: - Identity

    package var place: String {
        "the bucket \(self.client.configuration.bucket)" + (self.prefix.isEmpty ? "" : " below \(self.prefix)")
    }

    private static let maximumIdentity: Int64 = 1_024

    package func identity() async throws -> String? {
        guard let object = try await self.client.getObject(self.prefix + "identity") else { return nil }
        guard object.length <= Self.maximumIdentity else { return "\(object.length) bytes" }
        var bytes = ByteBuffer()
        try await object.read { bytes.writeImmutableBuffer($0) }
        return StorageIdentity.name(in: Array(bytes.readableBytesView))
    }

    package func setIdentity(_ identity: String) async throws {
        var payload = S3Payload(self.client.configuration.checksum)
        try Array((identity + "\n").utf8).withUnsafeBytes { try payload.append(copying: $0) }
        try await self.client.putObject(self.prefix + "identity", payload)
    }

    /// A minute more, as clocks differ and what was begun is to be read to its end.
    package var redirectionLifetime: Int64 { self.redirection.map { Int64($0.lifetime) + 60 } ?? 0 }

    // MARK: - Uploads

    package func createUpload(_ key: UploadKey) async throws -> any BlobUpload {
        let lease = try await self.table.create(key)
        return S3Upload(store: self, key: key, lease: lease, state: S3UploadTable.State())
    }

    package func openUpload(_ key: UploadKey) async throws -> (any BlobUpload)? {
        guard let (lease, state) = try await self.table.acquire(key) else { return nil }
        return S3Upload(store: self, key: key, lease: lease, state: state)
    }

    package func uploadSize(_ key: UploadKey) async throws -> Int64? {
        try await self.table.size(key)
    }

    package func removeUpload(_ key: UploadKey) async throws -> Bool {
        try await self.finishing {
            guard let state = try await self.table.remove(key) else { return false }
            var failures = S3Failures()
            if let multipart = state.multipart, let target = state.target {
                try await failures.passing {
                    try await self.client.abortMultipartUpload(self.key(target), upload: multipart)
                }
            }
            if let tail = state.tail {
                try await failures.passing { try await self.client.deleteObject(self.key(tail)) }
            }
            if state.phase == .whole, let target = state.target {
                try await failures.passing { try await self.client.deleteObject(self.key(target)) }
            }
            try failures.end()
            return true
        }
    }

    package func removeUploads(lastWrittenBefore time: Date) async throws -> Int {
        var removed = 0
        // One that the storage does not let go of keeps none of the others.
        var failures = S3Failures()
        while true {
            let keys = try await self.table.stale(writtenBefore: time, limit: 100)
            for key in keys {
                // Its row is gone in any case, so that the next page has others.
                try await failures.passing { if try await self.removeUpload(key) { removed += 1 } }
            }
            guard keys.count == 100 else { break }
        }
        try await self.abortUnknownUploads(begunBefore: time, &failures)
        try failures.end()
        return removed
    }

    /// Drops what a lost reply or a killed instance has left open in the storage, where nobody sees what it costs.
    private func abortUnknownUploads(begunBefore time: Date, _ failures: inout S3Failures) async throws {
        var next: S3UploadPage.Marker?
        repeat {
            let page = try await self.client.listUploads(prefix: self.prefix, from: next)
            for upload in page.uploads where upload.initiatedAt < time {
                guard let target = self.location(upload.key),
                    try await !self.table.isKnown(multipart: upload.id, target: target)
                else { continue }
                try await failures.passing {
                    try await self.client.abortMultipartUpload(upload.key, upload: upload.id)
                }
            }
            next = page.next
        } while next != nil
    }

    /// The location of a key; nil for one that is not this store's.
    private func location(_ key: String) -> BlobLocation? {
        guard key.hasPrefix(self.prefix),
            let location = try? BlobLocation(String(key.dropFirst(self.prefix.count))), location.isOfID
        else { return nil }
        return location
    }

    // MARK: - Blobs

    package func place(_ upload: any BlobUpload, as digest: Digest) async throws -> BlobLocation {
        guard let upload = upload as? S3Upload else {
            throw RegistryError(.blobUploadInvalid, "the upload is another store's")
        }
        return try await upload.place(as: digest)
    }

    package func size(at location: BlobLocation) async throws -> Int64? {
        try await self.client.headObject(self.key(location))?.size
    }

    package func body(at location: BlobLocation, size: Int64, range: Range<Int64>) async throws -> HTTPResponse.Body? {
        guard size > 0, !range.isEmpty else {
            return try await self.size(at: location) == size ? .empty : nil
        }
        let isWhole = range == 0..<size
        let object: S3ObjectBody?
        do {
            object = try await self.client.getObject(
                self.key(location),
                range: isWhole ? nil : range,
                isServed: true
            )
        } catch let error as S3Error where error.code == .invalidRange {
            return nil
        }
        guard let object, object.object.size == size, object.length == range.upperBound - range.lowerBound else {
            return nil
        }
        return .stream(length: object.length) { writer in
            try await object.read { try await writer.write($0) }
        }
    }

    package func redirection(to location: BlobLocation) async throws -> String? {
        guard let redirection = self.redirection else { return nil }
        return try await self.client.presignedURL(
            self.key(location),
            expiresIn: redirection.lifetime,
            endpoint: redirection.endpoint
        ).description
    }

    package func read(at location: BlobLocation, range: Range<Int64>) async throws -> ByteBuffer? {
        guard !range.isEmpty else { return try await self.size(at: location).map { _ in ByteBuffer() } }
        let object: S3ObjectBody?
        do {
            object = try await self.client.getObject(self.key(location), range: range)
        } catch let error as S3Error where error.code == .invalidRange {
            return nil
        }
        guard let object, object.length == range.upperBound - range.lowerBound else { return nil }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Int(object.length))
        try await object.read { buffer.writeImmutableBuffer($0) }
        return buffer
    }

    package func remove(at location: BlobLocation) async throws {
        try await self.finishing { try await self.client.deleteObject(self.key(location)) }
    }

    package func page(after location: BlobLocation?, limit: Int) async throws -> [StoredBytes] {
        var after = location.map { self.key($0) }
        while true {
            let page = try await self.client.listObjects(prefix: self.prefix, after: after, limit: min(limit, 1000))
            let stored = page.objects.compactMap { object in
                self.location(object.key).map { location in
                    StoredBytes(
                        location: location,
                        size: object.size,
                        placedAt: Int64(object.modifiedAt.timeIntervalSince1970)
                    )
                }
            }
            // An empty page is the end for the caller.
            guard stored.isEmpty, page.next != nil, let last = page.objects.last?.key else { return stored }
            after = last
        }
    }

    /// Hashes the first bytes of an object.
    func hash(_ location: BlobLocation, size: Int64, algorithm: Digest.Algorithm) async throws -> Digest.Hasher {
        var hasher = Digest.Hasher(algorithm)
        guard size > 0 else { return hasher }
        guard let body = try await self.client.getObject(self.key(location), range: 0..<size), body.length == size
        else {
            throw RegistryError(.blobUploadInvalid, "what was received before is lost; start the upload again")
        }
        var batch = ByteBuffer()
        let flush = { (batch: ByteBuffer, hasher: Digest.Hasher) in
            try await self.threads.blocking {
                var hasher = hasher
                batch.withUnsafeReadableBytes { hasher.update(bufferPointer: $0) }
                return hasher
            }
        }
        try await body.read { buffer in
            batch.writeImmutableBuffer(buffer)
            guard batch.readableBytes >= 1 << 20 else { return }
            hasher = try await flush(batch, hasher)
            batch.clear()
        }
        return try await flush(batch, hasher)
    }
}

/// What the storage refused of many things, each of which is tried.
private struct S3Failures {
    private var first: S3Error?
    private var count = 0

    mutating func passing(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as S3Error {
            self.count += 1
            self.first = self.first ?? error
        }
    }

    /// - Throws: `S3Error` that tells of the first one, and how many there were.
    func end() throws {
        guard let first = self.first else { return }
        guard self.count > 1 else { throw first }
        throw S3Error(first.code, "\(first.message) (and \(self.count - 1) more failed)", status: first.status)
    }
}
