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
        abstract: "Run the registry, the trust server and the signer in one process.",
        discussion: """
            Needs no set-up: everything is kept under --data. Prints one line that begins with "ready" when it accepts \
            connections, and ends cleanly on SIGTERM or SIGINT.
            """
    )

    @Option(help: ArgumentHelp("Where everything is kept.", valueName: "dir"))
    var data = "~/.local/share/hallmark"

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

    func validate() throws {
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
        for file in [self.tlsCertificate, self.tlsKey].compactMap({ $0?.expandingTilde }) {
            try Self.requireReadable(file)
        }
        let server = try await EmbeddedServer.open(
            EmbeddedServer.Configuration(
                directory: self.data.expandingTilde,
                registry: self.registryAddress,
                trustServer: self.serverAddress,
                hostNames: self.hostNames,
                certificate: self.tlsCertificate.flatMap { certificate in
                    self.tlsKey.map { (certificate.expandingTilde, $0.expandingTilde) }
                },
                registryUsesTLS: self.registryUsesTLS,
                databases: self.databases
            ),
            logger: Logger(label: "hallmark")
        )
        print(Self.guide(to: server))
        print("ready registry=\(server.registryURL) server=\(server.trustServerURL)")
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
        let host = String(server.trustServerURL.dropFirst("https://".count))
        let registry = String(server.registryURL.drop { $0 != ":" }.dropFirst(3))
        var lines = [
            "Hallmark \(HallmarkVersion.current): registry \(server.registryURL), trust server \(server.trustServerURL)",
            "Data in \(server.directory)",
            "",
            "To use it with Docker (28 or older), paste:",
            "",
            "  export DOCKER_CONTENT_TRUST=1",
            "  export DOCKER_CONTENT_TRUST_SERVER=\(server.trustServerURL)",
            "",
        ]
        if let authority = server.authorityPath {
            lines += [
                "and, once, let its clients know the CA of the trust server:",
                "",
                "  install -D \(authority.shellQuoted) ~/.docker/tls/\(host.shellQuoted)/ca.crt",
                "",
            ]
            if server.registryURL.hasPrefix("https://") {
                lines += [
                    "and, on each machine with an engine, podman or skopeo, that of the registry:",
                    "",
                    "  install -D \(authority.shellQuoted) /etc/docker/certs.d/\(registry.shellQuoted)/ca.crt",
                    "",
                ]
            }
        }
        lines += ["Then: docker push \(registry)/name:tag, docker pull \(registry)/name:tag", ""]
        return lines.joined(separator: "\n")
    }
}
