// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Settings

/// `hallmark config show`
struct ConfigShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print the settings that hallmark serve would start with, as a file that it would take.",
        discussion: """
            From Notary's files this makes one of our own: config show -c server-config.json -c signer-config.json.
            """
    )

    @OptionGroup var files: ConfigurationOptions

    @Flag(help: "Tell in comments where each value comes from.")
    var origin = false

    @Flag(help: "Print the passwords of databases too.")
    var showSecrets = false

    @Flag(help: "Print the table of all settings there are, in Markdown, instead.")
    var table = false

    @OptionGroup var output: OutputOptions

    func run() async throws {
        guard !self.table else {
            print(SettingsTable.markdown(ServeSettings.schema))
            return
        }
        let outcome = try self.files.loader(options: []).loadOrExplain()
        if self.output.output == .json {
            JSONOutput.write(SettingsReport(outcome.values, showsSecrets: self.showSecrets))
        } else {
            let yaml = SettingsYAML(outcome.values, showsOrigins: self.origin, showsSecrets: self.showSecrets)
            print(
                TerminalText.lines(outcome.warnings.map { "# warning: \($0)\n" }.joined() + yaml.text),
                terminator: ""
            )
        }
    }
}
