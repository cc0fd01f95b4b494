// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import HTTPService
import Logging
import Settings

/// `hallmark serve`
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the registry, the trust server and the signer, in one process or in one each.",
        discussion: """
            Needs no set-up: everything is kept under --data. Prints one line that begins with "ready" when it accepts \
            connections, and ends cleanly on SIGTERM or SIGINT.

            Every option is a setting, and can be given in a file (--server-address as address under server) or a variable \
            (HALLMARK_SERVER_ADDRESS) too. The configuration files of notary-server and notary-signer are taken as they are.
            """
    )

    @OptionGroup var files: ConfigurationOptions

    @OptionGroup var everywhere: SettingOptions<ServeSettings>

    @OptionGroup(title: "Registry")
    var registry: SettingOptions<RegistrySettings>

    @OptionGroup(title: "Trust server")
    var server: SettingOptions<TrustServerSettings>

    @OptionGroup(title: "Signer in a process of its own")
    var signer: SettingOptions<SignerSettings>

    @OptionGroup(title: "Authentication")
    var authentication: SettingOptions<AuthenticationSettings>

    @OptionGroup(title: "Users and rules")
    var tokens: SettingOptions<TokenServiceSettings>

    @OptionGroup(title: "PostgreSQL")
    var databases: SettingOptions<DatabaseSettings>

    @OptionGroup(title: "Registry on S3")
    var storage: SettingOptions<S3Settings>

    @OptionGroup(title: "Registry: collecting and scrubbing")
    var collection: SettingOptions<CollectionSettings>

    @OptionGroup(title: "Operations and limits")
    var operations: SettingOptions<OperationsSettings>

    /// What the options say.
    private var given: [GivenSetting] {
        self.everywhere.given + self.registry.given + self.server.given + self.signer.given + self.authentication.given
            + self.tokens.given + self.databases.given + self.storage.given + self.collection.given
            + self.operations.given
    }

    func run() async throws {
        let signals =
            if let trapped = ServingSignals.trapped { trapped } else { await ServingSignals.trap() }
        let outcome = try self.files.loader(options: self.given).loadOrExplain()
        let settings = outcome.values
        let log = ServingLog.start(settings)
        let logger = Logger(label: "hallmark")
        for warning in outcome.warnings { logger.warning("\(TerminalText.line(warning.description))") }
        try SettingFiles.requireReadable(settings)
        if settings.services.contains(.signer), !settings[ServeSettings.debug] { CoreDumps.hideMemory() }
        let server = try await EmbeddedServer.open(settings, logger: logger)
        let guide = ServeGuide(server: server)
        print(guide.text)
        print(guide.ready)
        // To a pipe, print would keep the line back.
        fflush(nil)
        try await server.run(
            until: signals.ending,
            beside: [LogLevelSignals(signals: signals.levels, log: log, logger: logger), IdleMemory()]
        )
    }
}
