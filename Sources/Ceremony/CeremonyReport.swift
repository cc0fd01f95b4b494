// SPDX-License-Identifier: Apache-2.0

import TUF

/// Who has signed metadata, and who has not: for people, and for programs.
package struct CeremonyReport: Encodable, Sendable {
    /// How far one requirement is met.
    package struct Progress: Encodable, Sendable {
        package let authority: String
        package let threshold: Int
        package let met: Bool
        package let signed: [String]
        package let missing: [String]
    }

    package let role: String
    package let version: Int64?
    /// Whether enough have signed.
    package let complete: Bool
    package let requirements: [Progress]
    /// Of certificates, the ids of the private keys that they are of: files of keys are named by those.
    package let privateKeys: [String: String]?

    /// Tells how far a ceremony is.
    package init(_ ceremony: SigningCeremony) {
        self.role = ceremony.role.text
        self.version = ceremony.metadata.version
        self.complete = ceremony.isComplete
        self.requirements = ceremony.progress.map {
            Progress(
                authority: $0.authority,
                threshold: $0.threshold,
                met: $0.isMet,
                signed: $0.signed.map(\.text),
                missing: $0.missing.map(\.text)
            )
        }
        let certificates = ceremony.keys.filter(\.type.isCertificate)
        self.privateKeys =
            certificates.isEmpty
            ? nil
            : Dictionary(certificates.map { ($0.id.text, (try? $0.canonicalID)?.text ?? "") }) { first, _ in first }
    }

    /// Several lines for people.
    package var text: String {
        let state = self.complete ? "has all signatures" : "waits for signatures"
        var lines = ["\(self.role) version \(self.version ?? 0) \(state):"]
        for progress in self.requirements {
            let met = progress.met ? "" : ", not met"
            lines.append("  by \(progress.authority): \(progress.signed.count) of \(progress.threshold) needed\(met)")
            lines += progress.signed.map { "    signed   \(self.name($0))" }
            lines += progress.missing.map { "    \(progress.met ? "not yet " : "missing ") \(self.name($0))" }
        }
        return lines.joined(separator: "\n")
    }

    private func name(_ id: String) -> String {
        self.privateKeys?[id].map { "\(id) (private key \($0))" } ?? id
    }

    /// How many signatures of which keys are missing; empty when none is.
    package var missing: String {
        self.requirements.filter { !$0.met }.map { progress in
            let ids = progress.missing.joined(separator: ", ")
            return "\(max(1, progress.threshold - progress.signed.count)) more for \(progress.authority) of \(ids)"
        }.joined(separator: " and ")
    }
}
