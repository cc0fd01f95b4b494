// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import HTTPService
package import NIOCore
package import OCI

/// Names an upload session. The same id in another repository is another session.
package struct UploadKey: Sendable, Hashable {
    package let repository: RepositoryName
    package let id: UploadID

    package init(repository: RepositoryName, id: UploadID) {
        self.repository = repository
        self.id = id
    }
}

/// Bytes that a store holds, whether a row names them or not.
package struct StoredBytes: Sendable, Equatable {
    package let location: BlobLocation
    /// In bytes.
    package let size: Int64
    /// When they came to be at the location, in Unix seconds.
    package let placedAt: Int64

    package init(location: BlobLocation, size: Int64, placedAt: Int64) {
        self.location = location
        self.size = size
        self.placedAt = placedAt
    }
}

/// Where the bytes of blobs and of unfinished uploads are kept.
///
/// The store knows bytes only. Whether a blob exists, and where, is what the database says; a store may hold bytes that no row
/// names (a crash came between the two). Every method may be called from any thread and must not block it, and goes on when
/// its task is cancelled: what was begun is brought to an end.
package protocol BlobStore: Sendable {
    /// Starts an empty upload that outlives a restart of the process.
    func createUpload(_ key: UploadKey) async throws -> any BlobUpload

    /// Opens an upload; nil when there is none.
    /// - Throws: ``RegistryError`` when another instance is writing to it.
    func openUpload(_ key: UploadKey) async throws -> (any BlobUpload)?

    /// How many bytes an upload has; nil when there is none.
    func uploadSize(_ key: UploadKey) async throws -> Int64?

    /// Forgets an upload and its bytes, but for those that were placed.
    /// - Returns: False when there was none.
    @discardableResult
    func removeUpload(_ key: UploadKey) async throws -> Bool

    /// Forgets the uploads that were last written before the time.
    /// - Returns: How many they were.
    func removeUploads(lastWrittenBefore time: Date) async throws -> Int

    /// Makes an upload's bytes durable at a location that has never been used before, or that belongs to the upload as long as
    /// there is one. The caller has proven that they hash to the digest. The upload stays, so that a client can try again when
    /// what comes afterwards fails.
    ///
    /// - Throws: When the bytes may not be durable; nothing stands at the location then.
    func place(_ upload: any BlobUpload, as digest: Digest) async throws -> BlobLocation

    /// How many bytes there are at a location; nil when there are none.
    func size(at location: BlobLocation) async throws -> Int64?

    /// A part of a blob as the body of a reply; nil when the store does not have `size` bytes at the location.
    func body(at location: BlobLocation, size: Int64, range: Range<Int64>) async throws -> HTTPResponse.Body?

    /// A URL from which clients may take the bytes at a location for a while; nil when they are to come from the registry.
    func redirection(to location: BlobLocation) async throws -> String?

    /// Reads a part; nil when there is nothing at the location, or less.
    /// - Parameters:
    ///   - location: Where the blob is.
    ///   - range: What is read: at most some MiB, as it is held in memory.
    func read(at location: BlobLocation, range: Range<Int64>) async throws -> ByteBuffer?

    /// Removes the bytes at a location, if there are any.
    func remove(at location: BlobLocation) async throws

    /// What the store holds, in the order of the locations. Among it may be what uploads have written; the database knows.
    /// - Parameters:
    ///   - location: The last one of the page before; nil for the first page.
    ///   - limit: How many at most.
    func page(after location: BlobLocation?, limit: Int) async throws -> [StoredBytes]

    /// What the storage is called, for messages.
    var place: String { get }

    /// The name that ``setIdentity(_:)`` gave the storage; nil when it has none.
    func identity() async throws -> String?

    /// Gives the storage a name, durably, which tells it from others.
    func setIdentity(_ identity: String) async throws

    /// For how many seconds clients may go on to read what they were sent to with a redirection.
    var redirectionLifetime: Int64 { get }

    /// Lets go of whatever keeps others from using the same store.
    func close() async throws
}

extension BlobStore {
    package func redirection(to location: BlobLocation) async throws -> String? { nil }

    package var redirectionLifetime: Int64 { 0 }
}

/// An open upload. Used by one request at a time.
package protocol BlobUpload: Sendable {
    /// Which upload it is.
    var key: UploadKey { get }

    /// How many bytes the upload had when it was opened.
    var initialSize: Int64 { get }

    /// How many bytes of a chunk are worth a sync of their own: what is lost with less is sent again in no time.
    var syncThreshold: Int64 { get }

    /// Writes the buffers at the offset and hashes them on the way.
    /// - Returns: The hash, taken further by these bytes; nil for nil.
    func write(_ buffers: [ByteBuffer], at offset: Int64, hasher: Digest.Hasher?) async throws -> Digest.Hasher?

    /// Is told when a request has written all it has, and may still write: what was set aside for more is given back.
    /// - Parameter size: How many bytes the upload has.
    func settle(at size: Int64) async

    /// Drops everything from the offset on.
    func truncate(to offset: Int64) async throws

    /// Returns when what was written is durable, and where every instance finds it.
    func sync() async throws

    /// Hashes the first `size` bytes.
    func hash(size: Int64, algorithm: Digest.Algorithm) async throws -> Digest.Hasher

    /// How many bytes this request has left to whoever opens the upload next; nil for all that were written.
    var savedSize: Int64? { get async }

    /// Ends the use of the upload by this request. What was written stays.
    func close() async
}

extension BlobUpload {
    package var savedSize: Int64? { nil }
}

extension BlobUpload {
    package var syncThreshold: Int64 { 1 << 20 }

    package func settle(at size: Int64) async {}
}
