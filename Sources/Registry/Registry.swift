// SPDX-License-Identifier: Apache-2.0

package import Database
package import FoundationEssentials
package import HTTPService
package import Logging
package import NIOPosix
import OCI
package import ServiceLifecycle
package import TokenAuthentication

/// An OCI distribution 1.1 and Docker registry v2 server without its sockets: blobs in files, the rest in a database.
package struct Registry: Sendable {
    /// Where a registry keeps its blobs, and what it allows.
    package struct Configuration: Sendable {
        /// The directory of the blobs; made when it is not there. One process uses it at a time.
        package var directory: String
        /// The largest blob, in bytes. Default: 1 TiB.
        package var maximumBlobSize: Int64 = 1 << 40
        /// How many requests may send blobs at the same time; the more they are, the less memory each takes.
        /// Default: 256.
        package var maximumReceivingUploads = 256
        /// The most bytes of manifests that are received at once. Default: 256 MiB.
        package var manifestMemory = 256 << 20
        /// After how many seconds without bytes a request loses its upload to a newer one. Default: 5.
        package var uploadStallTime: TimeInterval = 5
        /// How many seconds an upload may lie untouched before it is dropped. Default: a week.
        package var maximumUploadAge: TimeInterval = 7 * 24 * 60 * 60
        /// Whether clients may delete. Default: true.
        package var allowsDelete = true
        /// Whether clients may push at all. Default: true.
        package var allowsWrites = true
        /// Whether a mount that names no source may find the blob by itself: anywhere where there are no access rules, else
        /// only where the client's token may pull, since private blobs would be given away. Default: true.
        package var allowsAnonymousMount = true
        /// Which manifests may name what is not there. Default: none.
        package var sparse = SparseManifests.none
        /// What clients are told in `Warning` fields when they begin, and when they push. Default: nothing.
        package var notices: [String] = []
        /// How many seconds a client may rely on having been told that something exists. Default: a day.
        package var graceTime: TimeInterval = 24 * 60 * 60
        /// The memory for ready replies, in bytes. 0 turns the cache off, as several instances on one database need.
        /// Default: 64 MiB.
        package var cacheSize = 64 << 20

        /// What is collected. The grace time is ``graceTime`` in any case.
        package var collection = CollectionPolicy()
        /// How many seconds lie between two collections; nil for none. Default: an hour.
        package var collectionInterval: TimeInterval? = 60 * 60
        /// How many seconds lie between two scrubs of everything; nil for none. Default: none.
        package var scrubInterval: TimeInterval?
        /// The most bytes a scrub reads in a second. Default: 32 MiB.
        package var scrubRate: Int64 = 32 << 20
        /// Who is told of pushes, pulls and deletes; nil for nobody.
        package var events: EventConfiguration?

        package init(directory: String) {
            self.directory = directory
        }
    }

    /// Answers requests.
    package let responder: RegistryResponder
    /// The work in the background; to be run as a service.
    package let maintenance: RegistryMaintenance
    /// Everything that is to be run beside the server that asks ``responder``.
    package var services: [any Service] { [self.maintenance] + self.chores + self.deliveries }
    /// Collects what nobody needs any more.
    package let collector: Collector

    private let chores: [any Service]
    /// Tells of events.
    private let deliveries: [EventDelivery]

    private let blobs: any BlobStore

    /// Opens a registry. The database must be the registry's own; it is not closed by ``close()``.
    ///
    /// - Parameters:
    ///   - verifier: Says what the tokens of clients are worth; without one, everybody may do everything. To be run as a
    ///     service by whoever made it.
    ///   - metrics: Counts who was refused.
    ///   - threads: Where files are read, written and hashed.
    ///   - clock: The time.
    /// - Throws: `FileSystemError` when the directory cannot be used, or another process uses it; ``StorageIdentityError`` when it
    ///   belongs to another database; ``DatabaseError``.
    package init(
        configuration: Configuration,
        database: any SQLDatabase,
        logger: Logger,
        verifier: TokenVerifier? = nil,
        metrics: Metrics? = nil,
        threads: NIOThreadPool = .singleton,
        clock: @escaping @Sendable () -> Date = { Date() }
    ) async throws {
        let blobs = try await FileBlobStore(root: configuration.directory, threads: threads)
        do {
            let foreign = try await threads.blocking { try ForeignChanges(directory: configuration.directory) }
            try await self.init(
                configuration: configuration,
                blobs: blobs,
                foreign: foreign,
                database: database,
                logger: logger,
                verifier: verifier,
                metrics: metrics,
                threads: threads,
                clock: clock
            )
        } catch {
            try await blobs.close()
            throw error
        }
    }

    /// Opens a registry over any store of blobs.
    /// - Parameter foreign: Tells what commands beside this process change; nil when there are none.
    package init(
        configuration: Configuration,
        blobs: any BlobStore,
        foreign: ForeignChanges?,
        database: any SQLDatabase,
        logger: Logger,
        verifier: TokenVerifier? = nil,
        metrics: Metrics? = nil,
        threads: NIOThreadPool = .singleton,
        clock: @escaping @Sendable () -> Date = { Date() }
    ) async throws {
        let events = configuration.events.map { events in
            var events = events
            // A registry whose directory is its own is the only one on its database.
            events.isShared = foreign == nil
            return RegistryEvents(events, clock: clock)
        }
        let store = try await RegistryStore(database: database, events: events)
        self.deliveries = [events].compactMap(\.self).map {
            EventDelivery(
                events: $0,
                queue: EventQueue(database: database),
                metrics: EventMetrics(metrics ?? Metrics()),
                clock: clock,
                logger: logger
            )
        }
        let uploads = UploadService(
            blobs: blobs,
            store: store,
            limits: UploadService.Limits(
                maximumBlobSize: configuration.maximumBlobSize,
                maximumReceiving: configuration.maximumReceivingUploads,
                stallTime: configuration.uploadStallTime
            ),
            clock: clock,
            makeID: {
                var generator = SystemRandomNumberGenerator()
                return UploadID(using: &generator)
            },
            logger: logger
        )
        self.blobs = blobs
        let cache = ResponseCache(limit: configuration.cacheSize, foreign: foreign)
        var policy = configuration.collection
        policy.graceTime = Int64(configuration.graceTime)
        let contents = RegistryContents(store: store, blobs: blobs, announcement: .cache(cache))
        try await contents.verifyStorageIfReachable(logger)
        let collector = Collector(contents, policy: policy, clock: clock, logger: logger)
        self.collector = collector
        var chores: [any Service] = []
        if let interval = configuration.collectionInterval {
            chores.append(
                CollectionService(collector: collector, interval: Int64(interval), metrics: metrics, logger: logger)
            )
        }
        if let interval = configuration.scrubInterval {
            let scrubber = Scrubber(
                contents,
                allowsSparseIndexes: configuration.sparse != .none,
                clock: clock,
                logger: logger
            )
            chores.append(
                ScrubService(
                    scrubber: scrubber,
                    interval: Int64(interval),
                    bytesPerSecond: configuration.scrubRate,
                    metrics: metrics,
                    logger: logger
                )
            )
        }
        self.chores = chores
        self.maintenance = RegistryMaintenance(
            uploads: uploads,
            foreign: foreign,
            maximumUploadAge: configuration.maximumUploadAge,
            clock: clock,
            logger: logger
        )
        self.responder = RegistryResponder(
            options: RegistryResponder.Options(
                allowsDelete: configuration.allowsDelete,
                allowsWrites: configuration.allowsWrites,
                allowsAnonymousMount: configuration.allowsAnonymousMount,
                notices: configuration.notices
            ),
            store: store,
            blobs: blobs,
            uploads: uploads,
            manifests: ManifestService(
                store: store,
                threads: threads,
                sparse: configuration.sparse,
                clock: clock
            ),
            manifestBudget: HTTPBodyBudget(bytes: configuration.manifestMemory),
            cache: cache,
            seen: SeenTimes(store: store, clock: clock, graceTime: configuration.graceTime),
            authorizer: verifier.map { Authorizer($0, metrics: metrics, logger: logger) },
            clock: clock,
            logger: logger
        )
    }

    /// Lets go of the directory. No request may be running.
    package func close() async throws {
        try await self.blobs.close()
    }
}
