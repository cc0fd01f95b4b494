// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import TUFRepository
import TrustClient
import Updater

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
        let isJSON = OutputFormat.requested == .json
        if parserCode == .validationFailure {
            Self.toStandardError(
                isJSON
                    ? Self.json(.usage, Hallmark.message(for: self.error), advice: ExitStatus.usage.advice)
                    : Hallmark.fullMessage(for: self.error)
            )
            exit(ExitStatus.usage.rawValue)
        }
        let status = ExitStatus(self.error)
        // A line each: there may be many.
        let message = self.error is SettingsFailure ? "\(self.error)" : TerminalText.line("\(self.error)")
        // What a repository of one's own refuses says all itself.
        let saysAll =
            self.error is RepositoryError || self.error is UpdaterError || self.error is ScrubFailure
            || self.error is ContentTrustError
            // So do ceremonies, whose signatures are still to come.
            || (status == .signature && (self.error as? TrustClientError)?.code != .signature)
        let advice = saysAll ? nil : status.advice
        if isJSON {
            Self.toStandardError(Self.json(status, message, advice: advice))
        } else {
            Self.toStandardError((["hallmark: " + message] + [advice].compactMap { $0 }).joined(separator: "\n"))
        }
        exit(status.rawValue)
    }

    private static func json(_ status: ExitStatus, _ message: String, advice: String? = nil) -> String {
        struct Report: Encodable {
            struct Reason: Encodable {
                let code: String
                let exitCode: Int32
                let message: String
                let advice: String?
            }
            let error: Reason
        }
        let reason = Report.Reason(
            code: status.name,
            exitCode: status.rawValue,
            message: message,
            advice: advice
        )
        return JSONOutput.text(Report(error: reason))
    }

    private static func toStandardError(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}
