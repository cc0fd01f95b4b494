// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import KeyStore
import OCI
import TUF
import TrustClient

/// What docker says when trust data does not allow what was asked.
enum TrustFailure {
    /// Puts an error into docker's words, as scripts look for them, followed by what was found.
    /// - Parameters:
    ///   - error: what stopped it.
    ///   - gun: the collection.
    ///   - host: the trust server's host.
    ///   - tag: the tag that was asked for, if it was one.
    static func error(_ error: any Error, gun: String, host: String, tag: String? = nil) -> DockerFrontError {
        if let error = error as? DockerFrontError { return error }
        guard let failure = error as? TrustClientError ?? (error as? TUFError).map({ TrustClientError($0) }) else {
            return DockerFrontError(.untrusted, "\(error)")
        }
        let text: String
        switch failure.code {
        case .noTrustData:
            text = "Error: remote trust data does not exist for \(gun): \(host) does not have trust data for \(gun)"
        case .notSigned:
            text = tag.map { "No valid trust data for \($0)" } ?? failure.message
        case .expired:
            text = "Error: remote repository \(gun) out-of-date: \(failure.message)"
        case .unreachable:
            text = "Error: error contacting notary server: \(failure.message)"
        case .rollback:
            text =
                "Warning: potential malicious behavior - trust data version is lower than expected for remote repository \(gun): "
                + failure.message
        case .signature:
            let kind =
                failure.refusal?.code == .thresholdNotMet
                ? "trust data has insufficient signatures" : "trust data mismatch"
            text = "Warning: potential malicious behavior - \(kind) for remote repository \(gun): \(failure.message)"
        case .contentMismatch, .unauthorised, .conflict, .rejected, .noSigningKey, .incomplete, .invalid, .storage,
            .other:
            text = failure.message
        }
        return DockerFrontError(.untrusted, TerminalText.line(text))
    }
}
