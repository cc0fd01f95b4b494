// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Logging
import Settings
import TokenAuthentication

/// Whose tokens are asked for, by the settings.
enum Authentication {
    /// Nil when everybody may do everything.
    static func configuration(_ settings: SettingValues) -> AuthenticationConfiguration? {
        let redirects = settings[AuthenticationSettings.autoredirect]
        guard redirects || settings[AuthenticationSettings.realm] != nil else { return nil }
        var configuration = AuthenticationConfiguration(
            realm: settings[AuthenticationSettings.realm] ?? "",
            service: settings[AuthenticationSettings.service] ?? "",
            issuer: settings[AuthenticationSettings.issuer] ?? "",
            certificateBundle: settings[AuthenticationSettings.certificates]?.expandingTilde,
            keySet: settings[AuthenticationSettings.keySet]?.expandingTilde
        )
        configuration.redirectsToRequestHost = redirects
        return configuration
    }

    /// What says who may do what; nil when everybody may do everything. To be run as a service.
    /// - Throws: ``CommandError`` that names the file.
    static func verifier(_ settings: SettingValues, logger: Logger) async throws -> TokenVerifier? {
        guard let configuration = Self.configuration(settings) else { return nil }
        do {
            return try await TokenVerifier.load(configuration, logger: logger)
        } catch let error as TokenError {
            throw CommandError(.failure, "tokens cannot be verified: \(error)")
        }
    }
}
