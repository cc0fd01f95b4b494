// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import KeyStore
import Logging
import NotaryAPI

/// Notary's options, under Notary's names.
struct TrustOptions: ParsableArguments {
    @Option(
        name: [.customShort("s"), .long],
        help: ArgumentHelp(
            "The trust server. Default: DOCKER_CONTENT_TRUST_SERVER, else the registry's host.",
            valueName: "url"
        )
    )
    var server: String?

    @Option(
        help: ArgumentHelp(
            "A CA to trust besides the system's, PEM. Default: those in ~/.docker/tls/HOST:PORT.",
            valueName: "file"
        ),
        completion: .file()
    )
    var tlscacert: String?

    @Option(
        help: ArgumentHelp("A client certificate for the trust server, PEM.", valueName: "file"),
        completion: .file()
    )
    var tlscert: String?

    @Option(help: ArgumentHelp("Its private key, PEM.", valueName: "file"), completion: .file())
    var tlskey: String?

    @Option(
        name: [.customShort("d"), .customLong("trust-dir"), .customLong("trustDir")],
        help: ArgumentHelp("Keys and cached metadata. Default: ~/.docker/trust.", valueName: "dir"),
        completion: .directory
    )
    var trustDirectory: String?

    @Option(
        name: [.customShort("c"), .customLong("config"), .customLong("configFile")],
        help: ArgumentHelp(
            "The client's settings, or a configuration file of notary's. Default: ~/.config/hallmark/client.yaml.",
            valueName: "file"
        ),
        completion: .file(extensions: ["yaml", "json"])
    )
    var configurationFile: String?

    @Option(
        name: .customLong("passphrase-file"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "Read the passphrase of keys from the first line of a file; of one role's with root=, targets=, snapshot= or delegation= "
                + "before it. May be repeated.",
            valueName: "file"
        ),
        completion: .file()
    )
    var passphraseFiles: [PassphrasePlace] = []

    @Option(
        name: .customLong("passphrase-fd"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "Read it from the next line of an open file descriptor, in the same way.",
            valueName: "number"
        ),
        transform: PassphrasePlace.descriptor(argument:)
    )
    var passphraseDescriptors: [PassphrasePlace] = []

    @Option(
        name: .customLong("passphrase-command"),
        help: ArgumentHelp(
            "Read it from the first line that a program prints (no shell; arguments split at blanks).",
            valueName: "command"
        )
    )
    var passphraseCommand: String?

    @Flag(name: [.customShort("D"), .long], help: "Log what is asked of servers, on standard error.")
    var debug = false

    @Flag(name: [.customShort("v"), .long], help: "Log a little more than warnings, on standard error.")
    var verbose = false

    func validate() throws {
        if let server = self.server, !server.hasPrefix("https://") {
            throw ValidationError("valid https URL required for trust server, got \(server)")
        }
        guard (self.tlscert == nil) == (self.tlskey == nil) else {
            throw ValidationError("--tlscert and --tlskey go together: a certificate and its key")
        }
    }

    var settings: ClientSettings {
        get throws {
            var settings = try ClientSettings(
                server: self.server,
                authorityFile: self.tlscacert,
                trustDirectory: self.trustDirectory,
                configurationFile: self.configurationFile
            )
            if let certificate = self.tlscert?.expandingTilde, let key = self.tlskey?.expandingTilde {
                settings.identity = (certificate, key)
            }
            return settings
        }
    }

    /// What was named here, then the environment, then a prompt.
    var passphrases: any PassphraseSource {
        let environment = ProcessInfo.processInfo.environment
        var sources: [any PassphraseSource] = []
        sources += self.passphraseDescriptors.sources { PassphraseDescriptor(Int32($0) ?? -1) }
        sources += self.passphraseFiles.sources { PassphraseFile(path: $0.expandingTilde) }
        if let command = self.passphraseCommand {
            sources.append(
                PassphraseCommand(command.split(separator: " ").map(String.init), environment: environment)
            )
        }
        sources.append(EnvironmentPassphrases(environment))
        sources.append(PassphrasePrompt(terminal: StandardTerminal(), wording: .docker))
        return CachingPassphrases(PassphraseChain(sources))
    }

    var logger: Logger {
        let level: Logger.Level = self.debug ? .debug : self.verbose ? .info : .warning
        return Logger(label: "hallmark") { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
    }

    /// Collections of any files, to read.
    var files: TrustedFiles {
        get throws { TrustedFiles(settings: try self.settings) }
    }

    /// A collection on a trust server, to change.
    func managed(_ gun: GUN) throws -> ManagedCollection {
        ManagedCollection(gun, settings: try self.settings, passphrases: self.passphrases)
    }

    var images: TrustedImages {
        get throws { try self.images(passphrases: self.passphrases) }
    }

    func images(passphrases: any PassphraseSource) throws -> TrustedImages {
        TrustedImages(settings: try self.settings, passphrases: passphrases, logger: self.logger)
    }
}

/// `--output`
struct OutputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("text, or json for programs.", valueName: "format"))
    var output: OutputFormat = .text
}
