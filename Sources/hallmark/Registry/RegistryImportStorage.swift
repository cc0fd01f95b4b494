// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import Foundation
import Logging
import Registry
import S3Client
import Settings

/// The registry's storage, beside the process that serves it or without one.
struct RegistryImportStorage {
    let database: any SQLDatabase
    let blobs: any BlobStore
    /// Tells the process that serves; nil when it keeps nothing in memory.
    let foreign: ForeignChanges?

    /// Opens it for the time that the body runs.
    static func with<Result: Sendable>(
        _ settings: SettingValues,
        _ body: (RegistryImportStorage) async throws -> Result
    ) async throws -> Result {
        let data = settings[ServeSettings.data].expandingTilde
        try DataDirectory.prepare(data, for: [.registry])
        let database = try await ServiceDatabase(service: .registry, settings: settings)
            .open(logger: Logger(label: "hallmark"))
        do {
            let storage = try await Self.storage(settings, database, directory: data + "/registry")
            let result = try await body(storage)
            try await storage.blobs.close()
            try await database.close()
            return result
        } catch {
            // What stopped the body is what matters.
            try? await database.close()
            throw error
        }
    }

    private static func storage(
        _ settings: SettingValues,
        _ database: any SQLDatabase,
        directory: String
    ) async throws -> RegistryImportStorage {
        do {
            let objects = try S3BlobStore.configured(
                by: settings,
                environment: ProcessInfo.processInfo.environment,
                database: database,
                logger: Logger(label: "hallmark")
            )
            if let objects { return RegistryImportStorage(database: database, blobs: objects, foreign: nil) }
        } catch let error as S3Error {
            throw CommandError(.failure, error.message)
        }
        let files = try await FileBlobStore(root: directory, takesUploads: false)
        return RegistryImportStorage(
            database: database,
            blobs: files,
            foreign: try ForeignChanges(directory: directory)
        )
    }
}
