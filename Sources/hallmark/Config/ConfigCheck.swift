// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import Settings

/// `hallmark config check`
struct ConfigCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say everything that is wrong with the settings, without starting anything.",
        discussion: """
            Also looks whether the files that are named can be read and are what they should be. Exit code 0: hallmark serve \
            would start, as far as can be told; 1: it would not.
            """
    )

    @OptionGroup var files: ConfigurationOptions

    @Flag(help: "Also connect to the databases, and to the signer if that is another process.")
    var connect = false

    @OptionGroup var output: OutputOptions

    func run() async throws {
        let loader = self.files.loader(options: [])
        let outcome = loader.examine()
        var problems = outcome.problems
        if !problems.contains(where: { $0.severity == .error }) {
            problems += await SettingFiles.problems(outcome.values)
            problems += await SettingFiles.cautions(outcome.values)
        }
        if self.connect, !problems.contains(where: { $0.severity == .error }) {
            problems += await SettingConnections.problems(outcome.values)
        }
        let errors = problems.filter { $0.severity == .error }.count
        if self.output.output == .json {
            JSONOutput.write(Report(files: loader.files, problems: problems))
        } else {
            for problem in problems { print(TerminalText.line("\(problem.severity.rawValue): \(problem)")) }
            if errors == 0 { print("The settings are right\(Self.sources(loader.files)).") }
        }
        guard errors == 0 else {
            throw CommandError(
                .failure,
                "hallmark serve would not start: \(errors) \(errors == 1 ? "error" : "errors")"
            )
        }
    }

    private static func sources(_ files: [String]) -> String {
        files.isEmpty ? "; there is no configuration file" : " in " + files.joined(separator: " and ")
    }

    private struct Report: Encodable {
        struct Item: Encodable {
            let severity: String
            let setting: String?
            let origin: SettingsReport.Origin?
            let message: String
        }

        let files: [String]
        let valid: Bool
        let problems: [Item]

        init(files: [String], problems: [SettingProblem]) {
            self.files = files
            self.valid = !problems.contains { $0.severity == .error }
            self.problems = problems.map { problem in
                Item(
                    severity: problem.severity.rawValue,
                    setting: problem.key,
                    origin: problem.origin.map(SettingsReport.Origin.init),
                    message: problem.message
                )
            }
        }
    }
}
