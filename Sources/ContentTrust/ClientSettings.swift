// SPDX-License-Identifier: Apache-2.0

import Foundation
package import HTTPAccess
import NIOSSL
package import NotaryAPI
import OCI
package import RegistryClient
import TUF
package import TrustClient

/// Where a client finds its keys, servers and certificates: what was said on the command line, then in the environment,
/// then in a `notary` configuration file, then where Docker keeps it.
package struct ClientSettings: Sendable {
    /// A client certificate for trust servers, and its key, PEM files (`--tlscert`, `--tlskey`): in place of the settings'.
    package var identity: (certificate: String, key: String)?
    /// Keys and cached metadata (Docker's `trust` directory, `notary`'s `trust_dir`).
    package let trustDirectory: String
    /// The trust server for everything; nil to derive it from the registry's name, as Docker does.
    package let server: String?

    let dockerDirectory: String
    let authorityFiles: [String]
    /// Notary's own file, where that is what was named.
    let configuration: NotaryClientConfiguration?
    /// The user's own settings, then the machine's.
    let files: [ClientConfiguration]
    /// The machine's settings, of which some bind the user.
    let machine: ClientConfiguration?
    /// Where the pin bundles are.
    let pinSources: [InstalledPins.Source]
    /// Where the machine has pin bundles; nil when it has none.
    let machinePinBundles: String?
    /// `-s/--server`: what was asked for just now, unlike what is set for all.
    let namedServer: String?
    let environment: [String: String]

    /// - Parameters:
    ///   - server: `-s/--server`.
    ///   - authorityFile: `--tlscacert`.
    ///   - trustDirectory: `-d/--trust-dir`.
    ///   - configurationFile: `-c/--config`.
    ///   - environment: the process's variables.
    ///   - machineDirectory: where the settings for everybody on this machine are.
    /// - Throws: ``ContentTrustError`` with code `configuration`.
    package init(
        server: String? = nil,
        authorityFile: String? = nil,
        trustDirectory: String? = nil,
        configurationFile: String? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment,
        machineDirectory: String = Self.machineDirectory
    ) throws {
        let found = try ClientFiles(configurationFile, environment: environment, machineDirectory: machineDirectory)
        let configuration = found.notary
        self.files = found.files
        self.machine = found.machine
        self.pinSources = found.pinSources
        self.machinePinBundles = found.machinePinBundles
        self.namedServer = server
        let docker = environment["DOCKER_CONFIG"].flatMap { $0.isEmpty ? nil : $0 } ?? "~/.docker"
        self.dockerDirectory = docker.expandingTilde
        self.trustDirectory =
            trustDirectory?.expandingTilde ?? configuration?.trustDirectory
            ?? found.files.lazy.compactMap { $0.trustDirectory?.value }.first ?? self.dockerDirectory + "/trust"
        let variable = environment["DOCKER_CONTENT_TRUST_SERVER"].flatMap { $0.isEmpty ? nil : $0 }
        self.server = server ?? variable ?? configuration?.serverURL
        if let server = self.server, !server.hasPrefix("https://") {
            throw ContentTrustError(
                .configuration,
                "valid https URL required for trust server, got \(server.prefix(300))"
            )
        }
        self.authorityFiles = [authorityFile?.expandingTilde, configuration?.authorityFile].compactMap { $0 }
        self.configuration = configuration
        self.environment = environment
    }

    /// The home directory: `HOME`, as docker and notary take it, else the account's.
    package static var homeDirectory: String {
        let home = ProcessInfo.processInfo.environment["HOME"] ?? ""
        return home.isEmpty ? FileManager.default.homeDirectoryForCurrentUser.path : home
    }

    // MARK: Trust server

    /// The trust server of a collection: the one that was named; that of the settings; Docker Hub's; or the registry's own host.
    /// - Throws: `TrustClientError` with code `invalid`; ``ContentTrustError`` with code `configuration` when another was named than the
    ///   one that the machine's settings bind the collection to.
    package func trustServer(for gun: GUN) throws -> NotaryServer {
        let registry = Self.registry(of: gun)
        let hub = "https://notary.docker.io"
        let found = self.serverRule(for: gun)
        let rule = found?.value
        let url = rule?.url ?? self.server ?? (registry == ImageReference.defaultRegistry ? hub : "https://\(registry)")
        var server = try NotaryServer(url: url)
        // Who names a server must not change another one unawares.
        if let found, let other = self.namedServer, try NotaryServer(url: other).url != server.url {
            throw ContentTrustError(
                .configuration,
                "\(other.prefix(300)) was named, but \(found.origin) binds \(gun) to \(server.url)"
            )
        }
        // Who names an authority means that one, and not others that happen to lie around.
        let isBound = self.machine?.isLocked?.value == true && self.machine?.servers.rule(for: gun.text) != nil
        let named: [String] =
            if isBound, let authority = rule?.authorityFile { [authority] } else {
                self.authorityFiles + [rule?.authorityFile].compactMap { $0 }
            }
        server.authorityFiles = named.isEmpty ? self.dockerAuthorities(of: server.url) : named
        server.certificateFile = rule.map(\.certificateFile) ?? self.configuration?.certificateFile
        server.privateKeyFile = rule.map(\.privateKeyFile) ?? self.configuration?.privateKeyFile
        server.proxies = ProxyEnvironment(self.proxyVariables)
        server.userAgent = "hallmark"
        if let identity = self.identity {
            (server.certificateFile, server.privateKeyFile) = (identity.certificate, identity.key)
        }
        return server
    }

    /// `NOTARY_AUTH`, else what `docker login` knows of the collection's registry, or of the one that the settings name.
    package func credentials(for gun: GUN) -> any CredentialSource {
        var registry = Self.registry(of: gun)
        switch self.serverRule(for: gun)?.value.credentials {
        case .anonymous: return FixedCredential()
        case .loginOf(let host): registry = host
        case nil: break
        }
        return CollectionCredentials(
            registry: registry,
            notaryAuth: self.environment["NOTARY_AUTH"] ?? "",
            docker: self.registryCredentials
        )
    }

    /// The CA files that Docker would take for a server: `tls/HOST:PORT/*.crt` in its directory.
    private func dockerAuthorities(of url: String) -> [String] {
        let host = url.drop { $0 != ":" }.dropFirst(3).prefix { $0 != "/" }
        let folder = self.dockerDirectory + "/tls/" + host
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".crt") }.sorted().map { "\(folder)/\($0)" }
    }

    private static func registry(of gun: GUN) -> String {
        gun.text.firstIndex(of: "/").map { String(gun.text[..<$0]) } ?? gun.text
    }

    // MARK: Registry

    /// What `docker login` keeps.
    package var registryCredentials: DockerConfigCredentials {
        DockerConfigCredentials(path: self.dockerDirectory + "/config.json")
    }

    /// How to reach a registry: besides the system's authorities, those that Docker has for it count.
    /// - Throws: ``ContentTrustError`` with code `configuration` for a certificate that cannot be read.
    package func registryConfiguration(for registry: String) throws -> RegistryClientConfiguration {
        var configuration = RegistryClientConfiguration()
        configuration.proxies = ProxyEnvironment(self.proxyVariables)
        let folders = ["/etc/docker/certs.d/\(registry)", self.dockerDirectory + "/certs.d/\(registry)"]
        let found = folders.flatMap { folder in
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
                .filter { $0.hasSuffix(".crt") }.sorted().map { "\(folder)/\($0)" }
        }
        let rule = self.registryRule(for: registry)?.value
        if rule?.isPlainHTTP == true { configuration.scheme = .http }
        for file in self.authorityFiles + [rule?.authorityFile].compactMap({ $0 }) + found {
            do {
                configuration.additionalTrustRoots += try NIOSSLCertificate.fromPEMFile(file)
            } catch {
                throw ContentTrustError(.configuration, "\(file) is not a PEM certificate: \(error)")
            }
        }
        return configuration
    }
}
