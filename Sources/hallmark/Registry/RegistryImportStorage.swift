// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import Logging
import Registry
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
            let directory = data + "/registry"
            let blobs = try await FileBlobStore(root: directory, takesUploads: false)
            let foreign = try ForeignChanges(directory: directory)
            let storage = RegistryImportStorage(database: database, blobs: blobs, foreign: foreign)
            let result = try await body(storage)
            try await blobs.close()
            try await database.close()
            return result
        } catch {
            // What stopped the body is what matters.
            try? await database.close()
            throw error
        }
    }
}
