// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import Settings

/// A directory of a test's own, gone when the test is.
final class TemporaryFiles {
    let directory: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("settings-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        self.directory = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: self.directory) }

    /// - Returns: its path.
    func write(_ text: String, to name: String = "config.yml") throws -> String {
        let path = self.directory + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }
}

extension SettingsLoader {
    /// Of `hallmark serve`.
    static func serve(
        _ files: [String] = [],
        environment: [String: String] = [:],
        options: [GivenSetting] = [],
        currentDirectory: String = ""
    ) -> SettingsLoader {
        SettingsLoader(
            schema: ServeSettings.schema,
            files: files,
            environment: environment,
            options: options,
            currentDirectory: currentDirectory,
            rules: ServeRules.check
        )
    }
}

extension SettingsLoader.Outcome {
    var errors: [SettingProblem] { self.problems.filter { $0.severity == .error } }

    /// `LINE key` of each error in a file.
    var places: [String] {
        self.errors.map { problem in
            guard case .file(_, let line, _) = problem.origin else { return "? \(problem.key ?? "")" }
            return "\(line) \(problem.key ?? "")"
        }
    }
}
