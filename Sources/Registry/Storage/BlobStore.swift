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

/// Where the bytes of blobs and of unfinished uploads are kept.
///
/// The store knows bytes only. Whether a blob exists is what the database says; a store may hold bytes that no row
/// names (a crash came between the two), and such bytes are never trusted. Callers serialise `place(_:as:replacing:)`
/// and `removeBlob(_:)` for one digest. Every method may be called from any thread and must not block it, and goes on
/// when its task is cancelled: what was begun is brought to an end.
package protocol BlobStore: Sendable {
    /// Starts an empty upload that outlives a restart of the process.
    func createUpload(_ key: UploadKey) async throws -> any BlobUpload

    /// Opens an upload; nil when there is none.
    func openUpload(_ key: UploadKey) async throws -> (any BlobUpload)?

    /// How many bytes an upload has; nil when there is none.
    func uploadSize(_ key: UploadKey) async throws -> Int64?

    /// Forgets an upload and its bytes.
    /// - Returns: False when there was none.
    @discardableResult
    func removeUpload(_ key: UploadKey) async throws -> Bool

    /// Forgets the uploads that were last written before the time.
    /// - Returns: How many they were.
    func removeUploads(lastWrittenBefore time: Date) async throws -> Int

    /// Makes an upload's bytes durable under a digest. The caller has proven that they hash to it. The upload stays, so
    /// that a client can try again when what comes afterwards fails.
    ///
    /// - Parameter replacing: Puts the bytes in the place of others that are there already.
    /// - Returns: False, with nothing done, when bytes are there and `replacing` is false.
    /// - Throws: When the bytes may not be durable; nothing stands under the digest then.
    func place(_ upload: any BlobUpload, as digest: Digest, replacing: Bool) async throws -> Bool

    /// How many bytes stand under a digest; nil when there are none.
    func blobSize(_ digest: Digest) async throws -> Int64?

    /// A part of a blob as the body of a reply; nil when the store does not have `size` bytes under the digest.
    func body(of digest: Digest, size: Int64, range: Range<Int64>) async throws -> HTTPResponse.Body?

    /// Removes the bytes under a digest, if there are any.
    func removeBlob(_ digest: Digest) async throws

    /// Lets go of whatever keeps others from using the same store.
    func close() async throws
}

/// An open upload. Used by one request at a time.
package protocol BlobUpload: Sendable {
    /// Which upload it is.
    var key: UploadKey { get }

    /// How many bytes the upload had when it was opened.
    var initialSize: Int64 { get }

    /// Writes the buffers at the offset and hashes them on the way.
    /// - Returns: The hash, taken further by these bytes; nil for nil.
    func write(_ buffers: [ByteBuffer], at offset: Int64, hasher: Digest.Hasher?) async throws -> Digest.Hasher?

    /// Drops everything from the offset on.
    func truncate(to offset: Int64) async throws

    /// Returns when what was written is durable.
    func sync() async throws

    /// Hashes the first `size` bytes.
    func hash(size: Int64, algorithm: Digest.Algorithm) async throws -> Digest.Hasher
}
