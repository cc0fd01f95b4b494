// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Database
import DurableFiles
import Foundation
import Logging
import Registry
import S3Client
import Settings

/// The settings that say where a registry keeps what it has.
struct RegistryPlaceOptions: ParsableArguments {
    @OptionGroup var files: ConfigurationOptions
    @OptionGroup var data: SettingOptions<RegistryPlaceSettings>
    @OptionGroup(title: "PostgreSQL")
    var databases: SettingOptions<DatabaseSettings>
    @OptionGroup(title: "Registry on S3")
    var storage: SettingOptions<S3Settings>

    /// - Parameter more: What other options say.
    /// - Throws: ``SettingsFailure``.
    func settings(_ more: [GivenSetting] = []) throws -> SettingValues {
        let given = self.data.given + self.databases.given + self.storage.given + more
        return try self.files.loader(options: given).loadOrExplain().values
    }
}

/// The settings of a registry's place that are in no group of their own.
enum RegistryPlaceSettings: SettingGroup {
    static let title = "What hallmark serve keeps"
    static let settings = [ServeSettings.data.declaration]
}

/// What a registry keeps, opened beside the process that serves it, if there is one.
struct RegistryPlace: Sendable {
    let database: any SQLDatabase
    let blobs: any BlobStore
    /// Tells the process that serves; nil where that relies on nothing that others may change.
    let foreign: ForeignChanges?

    /// - Throws: ``CommandError`` when there is no registry.
    static func open(_ settings: SettingValues, logger: Logger) async throws -> RegistryPlace {
        let place = ServiceDatabase(service: .registry, settings: settings)
        if place.postgreSQL == nil { try Self.requireFile(place.path) }
        let database = try await place.open(logger: logger)
        let directory = settings[ServeSettings.data].expandingTilde + "/registry"
        do {
            let storage: S3BlobStore?
            do {
                storage = try S3BlobStore.configured(
                    by: settings,
                    environment: ProcessInfo.processInfo.environment,
                    database: database,
                    directory: directory,
                    logger: logger
                )
            } catch let error as S3Error {
                throw CommandError(.failure, error.message)
            }
            if let storage { return RegistryPlace(database: database, blobs: storage, foreign: nil) }
            try Self.requireFile(directory)
            return RegistryPlace(
                database: database,
                blobs: try await FileBlobStore(root: directory, takesUploads: false),
                foreign: try await BlockingWork.run { try ForeignChanges(directory: directory) }
            )
        } catch {
            try? await database.close()
            throw error
        }
    }

    private static func requireFile(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        throw CommandError(
            .failure,
            "there is no \(path): --data names the directory of hallmark serve, or -c its configuration"
        )
    }

    /// - Parameter events: Who is told of what goes.
    func contents(events: EventConfiguration? = nil) async throws -> RegistryContents {
        try await RegistryContents(
            database: self.database,
            blobs: self.blobs,
            foreign: self.foreign,
            events: events
        )
    }

    func close() async throws {
        try await self.blobs.close()
        try await self.database.close()
    }

    /// Opens a registry's place, and closes it whatever happens.
    static func with<Result: Sendable>(
        _ settings: SettingValues,
        _ body: @Sendable (RegistryPlace, Logger) async throws -> Result
    ) async throws -> Result {
        let logger = Logger(label: "hallmark") { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .warning
            return handler
        }
        let place = try await Self.open(settings, logger: logger)
        do {
            let result = try await body(place, logger)
            try await place.close()
            return result
        } catch {
            try? await place.close()
            if let error = error as? StorageIdentityError { throw CommandError(.failure, error.description) }
            throw error
        }
    }
}

extension CollectionPolicy {
    /// What settings say. Reads the file of rules.
    /// - Throws: `RetentionError` that names file and line.
    init(_ settings: SettingValues) throws {
        self.init()
        self.graceTime = settings[CollectionSettings.grace].components.seconds
        self.untagged = settings[CollectionSettings.untagged].seconds.map { .remove(after: $0) } ?? .keep
        self.removesOrphanedReferrers = settings[CollectionSettings.referrers]
        self.removesEmptyRepositories = !settings[CollectionSettings.keepsRepositories]
        self.orphanAge = settings[CollectionSettings.leftovers].components.seconds
        self.retention = try settings[CollectionSettings.rules].map { path throws(RetentionError) in
            try RetentionFile.rules(path: path.expandingTilde)
        }
    }
}

/// Waits for a chore that another process does.
enum ChoreWait {
    /// Does something that gives nil while another process does it.
    static func run<Result>(
        seconds: Int,
        progress: StepProgress,
        what: String,
        _ body: () async throws -> Result?
    ) async throws -> Result {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            if let result = try await body() { return result }
            guard ContinuousClock.now < end else {
                throw CommandError(.failure, "another process \(what) this registry: wait for it (--wait)")
            }
            progress.show("another process \(what) this registry: waiting for it")
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// What an interrupted chore says.
    static func guarding<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        do {
            return try await Interruption.guarding(body)
        } catch let error as CommandError where error.code == .interrupted {
            throw CommandError(.interrupted, "interrupted; what was done is done, and the next one goes on from there")
        }
    }
}
