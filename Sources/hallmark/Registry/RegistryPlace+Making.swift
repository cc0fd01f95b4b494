// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import Logging
import Settings

extension RegistryPlace {
    /// Makes what a registry without anything in it keeps, unless it is there: a command may come before the first
    /// `hallmark serve`.
    /// - Throws: ``CommandError``.
    static func make(_ settings: SettingValues) async throws {
        try DataDirectory.prepare(settings[ServeSettings.data].expandingTilde, for: [.registry])
        let place = ServiceDatabase(service: .registry, settings: settings)
        if place.postgreSQL == nil { try await place.open(logger: Logger(label: "hallmark")).close() }
    }
}
