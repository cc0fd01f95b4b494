// SPDX-License-Identifier: Apache-2.0

import Yams

/// Brings together what options, variables and files say.
package struct SettingsLoader: Sendable {
    /// What came of it.
    package struct Outcome: Sendable {
        package let values: SettingValues
        /// Errors and warnings, in the order of their places.
        package let problems: [SettingProblem]

        package var warnings: [SettingProblem] { self.problems.filter { $0.severity == .warning } }
    }

    package var schema: SettingsSchema
    /// Our own files, and Notary's.
    package var files: [String]
    package var environment: [String: String]
    package var options: [GivenSetting]
    /// What relative names of files begin at.
    package var currentDirectory: String
    /// Finds what does not go together.
    package var rules: @Sendable (SettingValues) -> [SettingProblem]

    package init(
        schema: SettingsSchema,
        files: [String] = [],
        environment: [String: String] = [:],
        options: [GivenSetting] = [],
        currentDirectory: String = "",
        rules: @escaping @Sendable (SettingValues) -> [SettingProblem] = { _ in [] }
    ) {
        self.schema = schema
        self.files = files
        self.environment = environment
        self.options = options
        self.currentDirectory = currentDirectory
        self.rules = rules
    }

    /// The settings, if they can be started with.
    /// - Throws: ``SettingsError`` with every error there is.
    package func load() throws(SettingsError) -> Outcome {
        let outcome = self.examine()
        let errors = outcome.problems.filter { $0.severity == .error }
        guard errors.isEmpty else { throw SettingsError(problems: errors) }
        return outcome
    }

    /// The settings, and whatever is wrong with them.
    package func examine() -> Outcome {
        var given = self.options
        given += SettingVariables.read(self.environment, schema: self.schema)
        var problems: [SettingProblem] = []
        var notary: [NotaryFile] = []
        // This one is named to have no file read, not even that which is read otherwise.
        for path in self.files where path != "/dev/null" {
            do {
                let document = try YAMLDocument(path: path)
                let directory = RelativePath.directory(of: path, current: self.currentDirectory)
                if let file = NotaryFile(document, directory: directory) {
                    notary.append(file)
                } else {
                    let file = ConfigurationFile(document, schema: self.schema, directory: directory)
                    given += file.given
                    problems += file.problems
                }
            } catch {
                problems.append(error.problem)
            }
        }
        let mapping = NotaryMapping(notary, environment: self.environment, currentDirectory: self.currentDirectory)
        given += mapping.given
        problems += mapping.problems
        let (values, unexpected) = SettingValues.resolve(given, schema: self.schema)
        problems += unexpected
        // What does not go together is told when each is right: a mistyped value would seem to be missing.
        if !problems.contains(where: { $0.severity == .error }) { problems += self.rules(values) }
        problems += SettingVariables.mistyped(self.environment, schema: self.schema)
        return Outcome(values: values, problems: Self.ordered(problems, files: self.files))
    }

    /// By file and line, then the others.
    private static func ordered(_ problems: [SettingProblem], files: [String]) -> [SettingProblem] {
        func place(_ problem: SettingProblem) -> (file: Int, line: Int) {
            guard case .file(let path, let line, _) = problem.origin else { return (files.count, 0) }
            return (files.firstIndex(of: path) ?? files.count, line)
        }
        return problems.enumerated().sorted { left, right in
            let (a, b) = (place(left.element), place(right.element))
            return (a.file, a.line, left.offset) < (b.file, b.line, right.offset)
        }.map(\.element)
    }
}
