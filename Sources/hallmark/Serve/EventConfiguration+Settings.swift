// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Registry
import Settings

extension EventConfiguration {
    /// Who the settings say is told of events; nil for nobody.
    /// - Throws: ``CommandError`` for a file that is not as it should be.
    init?(_ settings: SettingValues) throws {
        guard let file = settings[RegistrySettings.events]?.expandingTilde else { return nil }
        do {
            try self.init(file: file, authority: settings[RegistrySettings.eventAuthority]?.expandingTilde)
        } catch let problem as NotificationsFile.Problem {
            throw CommandError(.failure, "\(problem)")
        }
        // Where nobody is to be told, nothing is queued.
        if self.endpoints.isEmpty { return nil }
    }
}
