// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import Logging
import NIOCore
import UnixSignals

/// `hallmark serve`
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the registry, the trust server and the signer, in one process or in one each.",
        discussion: """
            Needs no set-up: everything is kept under --data. Prints one line that begins with "ready" when it accepts \
            connections, and ends cleanly on SIGTERM or SIGINT.
            """
    )

    @Option(help: ArgumentHelp("Where everything is kept.", valueName: "dir"))
    var data = "~/.local/share/hallmark"

    @Option(
        help: ArgumentHelp(
            "Run only this service: registry, server or signer; may be repeated.",
            valueName: "service"
        )
    )
    var only: [DatabaseOptions.Service] = []

    @Option(help: ArgumentHelp("Where the registry listens. Port 0 takes a free one.", valueName: "host:port"))
    var registryAddress = ListenAddress(host: "127.0.0.1", port: 5000)

    @Option(help: ArgumentHelp("Where the trust server listens, with TLS.", valueName: "host:port"))
    var serverAddress = ListenAddress(host: "127.0.0.1", port: 4443)

    @Option(
        name: .customLong("hostname"),
        help: ArgumentHelp("A further name or address for the certificate; may be repeated.", valueName: "name")
    )
    var hostNames: [String] = []

    @Option(help: ArgumentHelp("Your own certificate chain, PEM, instead of the local CA's.", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("The key of --tls-certificate, PEM.", valueName: "file"))
    var tlsKey: String?

    @Flag(name: .customLong("registry-tls"), help: "Speak HTTPS on the registry's address too.")
    var registryUsesTLS = false

    @OptionGroup(title: "Signer in a process of its own")
    var signer: SignerOptions

    @OptionGroup(title: "PostgreSQL")
    var databases: DatabaseOptions

    @Option(
        help: ArgumentHelp(
            "What to log: trace, debug, info (a line a request), notice, warning, error, critical.",
            valueName: "level"
        ),
        transform: Self.logLevel
    )
    var logLevel: Logger.Level = .notice

    @Flag(help: "Let debuggers and core dumps at the memory of a process that holds keys.")
    var debug = false

    private var services: Set<DatabaseOptions.Service> {
        self.only.isEmpty ? Set(DatabaseOptions.Service.allCases) : Set(self.only)
    }

    func validate() throws {
        try self.signer.validate(for: self.services)
        guard (self.tlsCertificate == nil) == (self.tlsKey == nil) else {
            throw ValidationError("--tls-certificate and --tls-key go together")
        }
    }

    func run() async throws {
        let level = self.logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        for file in [self.tlsCertificate, self.tlsKey].compactMap(\.self) + self.signer.files {
            try Self.requireReadable(file.expandingTilde)
        }
        if self.services.contains(.signer), !self.debug { CoreDumps.hideMemory() }
        let server = try await EmbeddedServer.open(
            EmbeddedServer.Configuration(
                services: self.services,
                directory: self.data.expandingTilde,
                registry: self.registryAddress,
                trustServer: self.serverAddress,
                hostNames: self.hostNames,
                certificate: self.tlsCertificate.flatMap { certificate in
                    self.tlsKey.map { (certificate.expandingTilde, $0.expandingTilde) }
                },
                registryUsesTLS: self.registryUsesTLS,
                signer: self.signer,
                databases: self.databases
            ),
            logger: Logger(label: "hallmark")
        )
        print(Self.guide(to: server))
        let addresses = [
            ("registry", server.registryURL), ("server", server.trustServerURL), ("signer", server.signerAddress),
        ]
        print(
            (["ready"] + addresses.compactMap { name, address in address.map { "\(name)=\($0)" } }).joined(
                separator: " "
            )
        )
        // To a pipe, print would keep the line back.
        fflush(nil)
        try await server.run(until: signals)
    }

    private static func requireReadable(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandError(.failure, "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        _ = close(descriptor)
    }

    private static func logLevel(_ text: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: text) else { throw ValidationError("\(text) is not a log level") }
        return level
    }

    private static func guide(to server: EmbeddedServer) -> String {
        let names = [
            server.registryURL.map { "registry \($0)" }, server.trustServerURL.map { "trust server \($0)" },
            server.signerAddress.map { "signer \($0)" },
        ]
        var lines = [
            "Hallmark \(HallmarkVersion.current): \(names.compactMap(\.self).joined(separator: ", "))",
            "Data in \(server.directory)",
            "",
        ]
        let registry = server.registryURL.map { String($0.drop { $0 != ":" }.dropFirst(3)) }
        if let trustServer = server.trustServerURL {
            let host = String(trustServer.dropFirst("https://".count))
            lines += [
                "To use it with Docker (28 or older), paste:",
                "",
                "  export DOCKER_CONTENT_TRUST=1",
                "  export DOCKER_CONTENT_TRUST_SERVER=\(trustServer)",
                "",
            ]
            if let authority = server.authorityPath {
                lines += [
                    "and, once, let its clients know the CA of the trust server:",
                    "",
                    "  install -D \(authority.shellQuoted) ~/.docker/tls/\(host.shellQuoted)/ca.crt",
                    "",
                ]
            }
        }
        if let registry, let authority = server.authorityPath, server.registryURL?.hasPrefix("https://") == true {
            lines += [
                "and, on each machine with an engine, podman or skopeo, that of the registry:",
                "",
                "  install -D \(authority.shellQuoted) /etc/docker/certs.d/\(registry.shellQuoted)/ca.crt",
                "",
            ]
        }
        if let registry { lines += ["Then: docker push \(registry)/name:tag, docker pull \(registry)/name:tag", ""] }
        return lines.joined(separator: "\n")
    }
}
