// SPDX-License-Identifier: Apache-2.0

package import Database
package import FoundationEssentials
import NIOCore
package import NIOPosix
import OCI

/// Takes over the storage of a docker-registry: blobs, manifests and tags of all its repositories.
///
/// Every digest is verified before anything relies on it. What is here already is left alone, so that an import that broke off,
/// or one after which more was pushed to the other registry, is done again in little time; a tag is set after what it names.
/// What is broken there is told and left. Works beside the process that serves, and while the other one serves, as long as
/// nothing is removed there meanwhile.
package struct RegistryImport: Sendable {
    package struct Options: Sendable {
        /// How many blobs are verified at once.
        package var concurrency = 4
        /// Tags that stand for something else here are set to what they stand for there.
        package var movesTags = false
        /// Tells what would be done, from links and manifests alone, and does nothing.
        package var isRehearsal = false

        package init() {}
    }

    let source: DockerRegistryStorage
    let store: RegistryStore
    let blobs: any BlobStore
    let manifests: ManifestService
    let foreign: ForeignChanges?
    let options: Options
    let progress: ImportProgress
    let clock: @Sendable () -> Date

    /// - Parameters:
    ///   - directory: docker-registry's `rootdirectory`.
    ///   - blobs: the registry's.
    ///   - foreign: tells the process that serves the same directory; nil when there is none that has to be told.
    ///   - database: the registry's.
    ///   - options: what to do.
    ///   - progress: told how far it is.
    ///   - threads: where files are read.
    ///   - clock: the time.
    /// - Throws: ``ImportError`` when there is no such storage; `DatabaseError`.
    package init(
        directory: String,
        blobs: any BlobStore,
        foreign: ForeignChanges?,
        database: any SQLDatabase,
        options: Options = .init(),
        progress: ImportProgress = .init(),
        threads: NIOThreadPool = .singleton,
        clock: @escaping @Sendable () -> Date = { Date() }
    ) async throws {
        self.source = try await threads.blocking { try DockerRegistryStorage(directory: directory, threads: threads) }
        self.store = try await RegistryStore(database: database)
        self.blobs = blobs
        self.foreign = foreign
        self.manifests = ManifestService(store: self.store, threads: threads, sparse: .none, clock: clock)
        self.options = options
        self.progress = progress
        self.clock = clock
    }

    var settlement: BlobSettlement {
        BlobSettlement(store: self.store, blobs: self.blobs, foreign: self.foreign, clock: self.clock, logger: nil)
    }

    var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    /// Imports everything.
    /// - Throws: `CancellationError`, and what concerns all of it: ``StorageIdentityError``, `DatabaseError`, `FileSystemError`.
    package func run() async throws -> ImportReport {
        try await StorageIdentity(store: self.store, blobs: self.blobs).verify()
        try await self.source.repositories { name in
            try Task.checkCancellation()
            try await RepositoryImport(self, name).run()
            self.progress.update { $0.repositories += 1 }
        } problem: { path, reason in
            self.progress.problem("", path, reason)
        }
        return self.progress.current
    }

    /// Changes the database, so that a process that serves beside this one learns of it.
    func changing<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        guard let foreign else { return try await body() }
        return try await foreign.change(body)
    }
}
