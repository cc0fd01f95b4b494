// SPDX-License-Identifier: Apache-2.0

package import Database
import Logging
import OCI
import S3Client

/// What a registry has: what the database says, the bytes, and who has to learn of a change besides.
package struct RegistryContents: Sendable {
    let store: RegistryStore
    let blobs: any BlobStore
    let announcement: ChangeAnnouncement

    init(store: RegistryStore, blobs: any BlobStore, announcement: ChangeAnnouncement) {
        self.store = store
        self.blobs = blobs
        self.announcement = announcement
    }

    /// The contents of a registry beside the process that serves it, if there is one.
    /// - Parameters:
    ///   - database: The registry's; its tables are brought up to date.
    ///   - blobs: Where its bytes are.
    ///   - foreign: Tells the process that serves the same directory; nil when the database is not in it.
    ///   - events: Who is told of what goes; nil for nobody.
    /// - Throws: `DatabaseError`.
    package init(
        database: any SQLDatabase,
        blobs: any BlobStore,
        foreign: ForeignChanges?,
        events: EventConfiguration? = nil
    ) async throws {
        self.init(
            store: try await RegistryStore(database: database, events: events.map { RegistryEvents($0) }),
            blobs: blobs,
            announcement: foreign.map { .foreign($0) } ?? .none
        )
    }

    /// Sees that the bytes are those that the database speaks of.
    /// - Throws: ``StorageIdentityError``, `DatabaseError`, what the storage throws.
    func verifyStorage() async throws {
        try await StorageIdentity(store: self.store, blobs: self.blobs).verify()
    }

    /// The same for a process that is to serve although its storage is away for a moment.
    func verifyStorageIfReachable(_ logger: Logger) async throws {
        do {
            try await self.verifyStorage()
        } catch let error as S3Error where error.isTemporary {
            logger.warning("whether the storage is the right one is not known yet", metadata: ["error": "\(error)"])
        }
    }
}
