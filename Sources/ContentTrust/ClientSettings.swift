// SPDX-License-Identifier: Apache-2.0

import Foundation
package import HTTPAccess
import NIOSSL
package import NotaryAPI
import OCI
package import RegistryClient
package import TUF
package import TrustClient

/// Where a client finds its keys, servers and certificates: what was said on the command line, then in the environment,
/// then in a `notary` configuration file, then where Docker keeps it.
package struct ClientSettings: Sendable {
    /// Keys and cached metadata (Docker's `trust` directory, `notary`'s `trust_dir`).
    package let trustDirectory: String
    /// The trust server for everything; nil to derive it from the registry's name, as Docker does.
    package let server: String?

    private let dockerDirectory: String
    private let authorityFiles: [String]
    private let configuration: NotaryClientConfiguration?
    let environment: [String: String]

    /// - Parameters:
    ///   - server: `-s/--server`.
    ///   - authorityFile: `--tlscacert`.
    ///   - trustDirectory: `-d/--trust-dir`.
    ///   - configurationFile: `-c/--config`.
    ///   - environment: the process's variables.
    /// - Throws: ``ContentTrustError`` with code `configuration`.
    package init(
        server: String? = nil,
        authorityFile: String? = nil,
        trustDirectory: String? = nil,
        configurationFile: String? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        let configuration = try configurationFile.map { try NotaryClientConfiguration(path: $0.expandingTilde) }
        let docker = environment["DOCKER_CONFIG"].flatMap { $0.isEmpty ? nil : $0 } ?? "~/.docker"
        self.dockerDirectory = docker.expandingTilde
        self.trustDirectory =
            trustDirectory?.expandingTilde ?? configuration?.trustDirectory ?? self.dockerDirectory + "/trust"
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

    /// The trust server of a collection: the one that was named; Docker Hub's; or the registry's own host.
    /// - Throws: `TrustClientError` with code `invalid`.
    package func trustServer(for gun: GUN) throws -> NotaryServer {
        let registry = Self.registry(of: gun)
        let hub = "https://notary.docker.io"
        var server = try NotaryServer(
            url: self.server ?? (registry == ImageReference.defaultRegistry ? hub : "https://\(registry)")
        )
        // Who names an authority means that one, and not others that happen to lie around.
        let named = self.authorityFiles
        server.authorityFiles = named.isEmpty ? self.dockerAuthorities(of: server.url) : named
        server.certificateFile = self.configuration?.certificateFile
        server.privateKeyFile = self.configuration?.privateKeyFile
        server.proxies = ProxyEnvironment(self.environment)
        server.userAgent = "hallmark"
        return server
    }

    /// Which root to accept for a collection that is not known yet.
    package func anchor(for gun: GUN) -> RootAnchor {
        self.configuration?.anchor(for: gun.text) ?? .firstUse
    }

    /// `NOTARY_AUTH`, else what `docker login` knows of the collection's registry.
    package func credentials(for gun: GUN) -> any CredentialSource {
        CollectionCredentials(
            registry: Self.registry(of: gun),
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
        configuration.proxies = ProxyEnvironment(self.environment)
        let folders = ["/etc/docker/certs.d/\(registry)", self.dockerDirectory + "/certs.d/\(registry)"]
        let found = folders.flatMap { folder in
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
                .filter { $0.hasSuffix(".crt") }.sorted().map { "\(folder)/\($0)" }
        }
        for file in self.authorityFiles + found {
            do {
                configuration.additionalTrustRoots += try NIOSSLCertificate.fromPEMFile(file)
            } catch {
                throw ContentTrustError(.configuration, "\(file) is not a PEM certificate: \(error)")
            }
        }
        return configuration
    }
}
