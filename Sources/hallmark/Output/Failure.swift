// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation

/// The end of a command that did not do what it was asked.
struct Failure {
    private let error: any Error

    init(_ error: any Error) {
        self.error = error
    }

    /// Says why, where the caller looks for it, and ends the process. Help and version come this way too.
    func report() -> Never {
        let parserCode = Hallmark.exitCode(for: self.error)
        if parserCode == .success {
            print(Hallmark.fullMessage(for: self.error))
            exit(0)
        }
        if parserCode == .validationFailure {
            Self.toStandardError(Hallmark.fullMessage(for: self.error))
            exit(ExitStatus.usage.rawValue)
        }
        let status = ExitStatus(self.error)
        Self.toStandardError(
            OutputFormat.requested == .json ? self.json(status) : "hallmark: \(TerminalText.line("\(self.error)"))"
        )
        exit(status.rawValue)
    }

    private func json(_ status: ExitStatus) -> String {
        struct Report: Encodable {
            struct Reason: Encodable {
                let code: String
                let exitCode: Int32
                let message: String
            }
            let error: Reason
        }
        let reason = Report.Reason(code: status.name, exitCode: status.rawValue, message: "\(self.error)")
        return JSONOutput.text(Report(error: reason))
    }

    private static func toStandardError(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}
