// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Settings
import TrustSigner

extension SettingFiles {
    /// What keeps nothing from starting, but should be known.
    static func cautions(_ settings: SettingValues) async -> [SettingProblem] {
        let users = await TokenServiceParts.problems(settings).filter { $0.severity == .warning }
        return await Self.passphrase(settings) + Self.passwords(settings) + users
    }

    /// A passphrase that is named must be there. Perhaps it is, where the service is started.
    private static func passphrase(_ settings: SettingValues) async -> [SettingProblem] {
        let setting = SignerSettings.defaultAlias
        guard settings.services.contains(.signer), let alias = settings[setting] else { return [] }
        do {
            _ = try await SignerParts.passphrases(settings).passphrase(forAlias: alias, keysExist: true)
            return []
        } catch {
            let origin = settings.origin(of: setting)
            return [SettingProblem(.warning, origin, key: setting.declaration.key, "\(error)")]
        }
    }

    /// Files with the password of a database that everybody on the machine can read.
    private static func passwords(_ settings: SettingValues) -> [SettingProblem] {
        settings.all.compactMap { entry in
            guard case .file(let path, _, _) = entry.origin, entry.shownWords != entry.words,
                let mode = DurableFile.mode(of: path), mode.permissions & 0o004 != 0
            else { return nil }
            let message = "has a password in a file that everybody on this machine can read: chmod o-r \(path)"
            return SettingProblem(.warning, entry.origin, key: entry.declaration.key, message)
        }
    }
}
