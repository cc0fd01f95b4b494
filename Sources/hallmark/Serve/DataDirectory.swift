// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import Settings

/// The directory that holds everything a server keeps.
enum DataDirectory {
    /// Where it is; nil when nothing of these settings goes there, as with PostgreSQL and certificates of one's own.
    static func path(_ settings: SettingValues) -> String? {
        let services = settings.services
        let keepsFiles = services.contains { ServiceDatabase(service: $0, settings: settings).postgreSQL == nil }
        let needsIt =
            services.contains(.registry) && settings[S3Settings.bucket] == nil || keepsFiles
            || Self.needsAuthority(settings)
            || services.contains(.signer) && settings[SignerSettings.defaultAlias] == nil
            || settings[TokenServiceSettings.users] != nil && settings[TokenServiceSettings.keys] == nil
        return needsIt ? settings[ServeSettings.data].expandingTilde : nil
    }

    /// Whether a certificate of the local CA is shown to anybody, or asked for.
    private static func needsAuthority(_ settings: SettingValues) -> Bool {
        let services = settings.services
        let servesTLS =
            services.contains(.server) && !settings[TrustServerSettings.plainHTTP]
            || services.contains(.registry) && settings[RegistrySettings.usesTLS]
        if servesTLS, settings[ServeSettings.certificate] == nil { return true }
        if services.contains(.signer) { return settings.servesSigner && settings[SignerSettings.certificate] == nil }
        return services.contains(.server)
            && (settings[SignerSettings.authority] == nil || settings[SignerSettings.clientCertificate] == nil)
    }

    /// Makes it and what the services have in it, for its owner alone.
    /// - Throws: ``CommandError`` that says why it cannot be used.
    static func prepare(_ path: String, for services: Set<ServiceName>) throws {
        try Self.make(path)
        if services.contains(.signer) { try Self.make(path + "/signer") }
        if services.contains(.registry) { try Self.make(path + "/registry") }
    }

    /// What a second process on the same directory is told.
    static func inUse(_ path: String) -> CommandError {
        CommandError(
            .failure,
            "\(path) is in use by another hallmark serve: end that one, or name another directory with --data"
        )
    }

    private static func make(_ path: String) throws {
        if mkdir(path, 0o700) == 0 { return }
        var reason = errno
        // Not NSString's: that of Linux traps on a name of one letter.
        let parent = path.lastIndex(of: "/").map { path[..<$0] } ?? ""
        if reason == ENOENT, !parent.isEmpty {
            try Self.make(String(parent))
            if mkdir(path, 0o700) == 0 { return }
            reason = errno
        }
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue { return }
        throw CommandError(
            .failure,
            "cannot make the directory \(path): \(String(cString: strerror(reason))); name another with --data"
        )
    }
}
