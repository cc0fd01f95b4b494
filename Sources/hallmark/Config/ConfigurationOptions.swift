// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import Settings

/// Which configuration files are read.
struct ConfigurationOptions: ParsableArguments {
    /// Read when nothing else is named, if it is there.
    static let defaultPath = "/etc/hallmark/config.yml"
    static let variable = "HALLMARK_CONFIG"

    @Option(
        name: [.short, .long, .customLong("config", withSingleDash: true)],
        help: ArgumentHelp(
            "A configuration file: ours (YAML), notary-server's or notary-signer's; may be repeated. "
                + "Default: HALLMARK_CONFIG, else /etc/hallmark/config.yml if there is one.",
            valueName: "file"
        ),
        completion: .file()
    )
    var config: [String] = []

    /// The files, as they are to be opened.
    func files(environment: [String: String]) -> [String] {
        guard self.config.isEmpty else { return self.config.map(\.expandingTilde) }
        if let variable = environment[Self.variable], !variable.isEmpty { return [variable.expandingTilde] }
        // One that is there but cannot be read is an error of its own.
        return access(Self.defaultPath, F_OK) == 0 ? [Self.defaultPath] : []
    }

    /// Brings files, variables and options together.
    func loader(options: [GivenSetting]) -> SettingsLoader {
        let environment = ProcessInfo.processInfo.environment
        return SettingsLoader(
            schema: ServeSettings.schema,
            files: self.files(environment: environment),
            environment: environment,
            options: options,
            currentDirectory: FileManager.default.currentDirectoryPath,
            rules: ServeRules.check
        )
    }
}

extension SettingsLoader {
    /// The settings to go on with.
    /// - Throws: ``SettingsFailure`` with everything that is wrong.
    func loadOrExplain() throws -> Outcome {
        do {
            return try self.load()
        } catch  where error.isUsage {
            throw ValidationError(error.description)
        } catch {
            throw SettingsFailure(error: error)
        }
    }
}

/// Settings that cannot be started with: a line for each reason.
struct SettingsFailure: Error, CustomStringConvertible {
    let error: SettingsError

    var description: String {
        let lines = self.error.problems.map { TerminalText.line($0.description) }
        return lines.count == 1 ? lines[0] : "\(lines.count) settings are wrong:\n" + lines.joined(separator: "\n")
    }
}
