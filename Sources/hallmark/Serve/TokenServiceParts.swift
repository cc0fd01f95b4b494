// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import DurableFiles
import Foundation
import HTTPService
import Logging
import NIOHTTP1
import ServiceLifecycle
import Settings
import SwiftASN1
import TokenAuthentication
import TokenService
import X509

/// The token service of this process, and the verifiers that trust it.
///
/// The registry and the trust server are services of their own to it: a token for one is none for the other.
struct TokenServiceParts {
    static let registryService = "hallmark-registry"
    static let trustService = "hallmark-server"

    private let service: TokenService
    private let registry: TokenVerifier
    private let server: TokenVerifier
    private let names: Set<String>
    private let settings: SettingValues

    /// What runs beside the servers.
    var services: [any Service] { [self.service, self.registry, self.server] }

    /// What says who may do what in one of the servers.
    func verifier(for service: ServiceName) -> TokenVerifier {
        service == .registry ? self.registry : self.server
    }

    /// - Parameter authority: knows the names of this machine, unless the operator's certificate does.
    /// - Returns: nil when no users are given.
    /// - Throws: ``CommandError`` that names the file.
    static func open(
        _ settings: SettingValues,
        authority: LocalCertificateAuthority,
        metrics: Metrics,
        logger: Logger
    ) async throws -> TokenServiceParts? {
        guard let users = settings[TokenServiceSettings.users]?.expandingTilde, settings.services != [.signer] else {
            return nil
        }
        var configuration = TokenServiceConfiguration(
            usersPath: users,
            directory: settings[TokenServiceSettings.keys]?.expandingTilde
                ?? settings[ServeSettings.data].expandingTilde + "/token",
            registryServices: [Self.registryService],
            trustServices: [Self.trustService]
        )
        configuration.rulesPath = settings[TokenServiceSettings.rules]?.expandingTilde
        configuration.tokenLifetime = Int64(settings[TokenServiceSettings.lifetime])
        configuration.trustedProxies = TrustedProxies(settings)
        do {
            let service = try await TokenService.open(configuration, logger: logger, metrics: metrics)
            func verifier(_ name: String) async throws -> TokenVerifier {
                var authentication = AuthenticationConfiguration(
                    realm: settings[TokenServiceSettings.realm] ?? "",
                    service: name,
                    issuer: configuration.issuer,
                    certificateBundle: service.certificatesPath
                )
                authentication.redirectsToRequestHost = settings[TokenServiceSettings.realm] == nil
                return try await TokenVerifier.load(authentication, logger: logger)
            }
            return TokenServiceParts(
                service: service,
                registry: try await verifier(Self.registryService),
                server: try await verifier(Self.trustService),
                names: Self.names(settings, authority),
                settings: settings
            )
        } catch let error as UsersFileError {
            throw CommandError(.failure, "\(settings.name(TokenServiceSettings.users)): \(error)")
        } catch let error as RulesError {
            throw CommandError(.failure, "\(settings.name(TokenServiceSettings.rules)): \(error)")
        } catch let error as TokenError {
            throw CommandError(.failure, "the token service cannot be started: \(error)")
        }
    }

    /// What is wrong with the files of users and rules, and lines that let nobody in.
    static func problems(_ settings: SettingValues) async -> [SettingProblem] {
        guard let users = settings[TokenServiceSettings.users]?.expandingTilde else { return [] }
        let rules = settings[TokenServiceSettings.rules]?.expandingTilde
        let found = try? await BlockingWork.run {
            var problems: [SettingProblem] = []
            func add(_ severity: SettingProblem.Severity, _ setting: Setting<String?>, _ message: String) {
                let origin = settings.origin(of: setting)
                problems.append(SettingProblem(severity, origin, key: setting.declaration.key, message))
            }
            do {
                for problem in try UsersFileEditor(path: users).read().problems {
                    add(.warning, TokenServiceSettings.users, "\(users):\(problem)")
                }
            } catch {
                add(.error, TokenServiceSettings.users, "\(error)")
            }
            do {
                if let rules { _ = try RulesFile.rules(path: rules) }
            } catch {
                add(.error, TokenServiceSettings.rules, "\(error)")
            }
            return problems
        }
        return found ?? []
    }

    /// Puts the token service before a server's own responder, where clients can reach it there.
    func responder(before other: any HTTPResponder, isSecure: Bool) -> any HTTPResponder {
        isSecure || self.settings[TokenServiceSettings.realm] != nil ? self.service.responder(before: other) : other
    }

    /// Tells clients where tokens are, once the addresses are known.
    func announce(registry: String?, server: String?) {
        let registryPort = registry.flatMap(Self.authority)?.port ?? self.settings[RegistrySettings.address].port
        var hosts = Set(self.settings[TokenServiceSettings.registryNames])
        for name in self.names {
            hosts.insert(ListenAddress(host: name, port: registryPort).description)
            // These ports are left out of an image's name.
            if registryPort == 443 || registryPort == 80 { hosts.insert(name) }
        }
        self.service.setRegistryHosts(hosts)
        let secure = [server, registry].compactMap(\.self).first { $0.hasPrefix("https://") }
        guard self.settings[TokenServiceSettings.realm] == nil, let here = secure.flatMap(Self.authority) else {
            return
        }
        let names = self.names
        for verifier in [self.registry, self.server] {
            verifier.sendClients { host in
                let asked = host.flatMap { Self.authority("https://" + $0) }?.host.lowercased()
                let host = asked.flatMap { names.contains($0) ? $0 : nil } ?? here.host
                return "https://\(ListenAddress(host: host, port: here.port))\(TokenServiceConfiguration.defaultPath)"
            }
        }
    }

    /// Host and port of a URL without a path.
    private static func authority(_ url: String) -> (host: String, port: Int)? {
        guard let components = URLComponents(string: url), var host = components.host, !host.isEmpty else { return nil }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host, components.port ?? (components.scheme == "https" ? 443 : 80))
    }

    /// The names that this machine's certificate is for.
    private static func names(_ settings: SettingValues, _ authority: LocalCertificateAuthority) -> Set<String> {
        var names = Set(authority.names)
        guard let path = settings[ServeSettings.certificate]?.expandingTilde,
            let text = try? String(contentsOfFile: path, encoding: .utf8),
            let document = try? PEMDocument.parseMultiple(pemString: text).first(where: {
                $0.discriminator == "CERTIFICATE"
            }),
            let certificate = try? Certificate(pemDocument: document),
            let alternatives = try? certificate.extensions.subjectAlternativeNames
        else { return names }
        for case .dnsName(let name) in alternatives { names.insert(name.lowercased()) }
        return names
    }
}
