// SPDX-License-Identifier: Apache-2.0

import Ceremony
import ContentTrust
import Foundation
import NotaryAPI
import TUF
import TrustClient

/// What this machine knows of a collection on a trust server, and what is staged for it.
struct CollectionStatusReport: Encodable {
    struct Role: Encodable {
        let role: String
        let version: Int64
        let expires: String
        let threshold: Int
        let keys: [String]
    }

    struct Change: Encodable {
        let number: Int
        let change: String
        let action: String
        let role: String
        let type: String
        let path: String?
        let waitsForSignatures: Bool
    }

    let name: String
    /// False for one that was initialised here and never read from its server; nil for one of which nothing is known.
    let read: Bool?
    let roles: [Role]
    let staged: [Change]
    let pending: [CeremonyReport]
    /// Names of files that wait in vain; nil for none.
    let overtaken: [String]?

    init(_ gun: GUN, _ status: ManagedCollection.Status) {
        self.name = gun.text
        self.read = status.known?.wasRead
        self.roles = (status.known?.roles ?? []).map {
            Role(
                role: $0.role.text,
                version: $0.version,
                expires: $0.expires.text,
                threshold: $0.threshold,
                keys: $0.keyIDs.map(\.text)
            )
        }
        self.staged = status.staged.enumerated().map { number, change in
            Change(
                number: number,
                change: change.summary,
                action: change.action.rawValue,
                role: change.role.text,
                type: change.subject.rawValue,
                path: change.path.isEmpty ? nil : change.path,
                waitsForSignatures: status.waiting.contains(number)
            )
        }
        self.pending = status.ceremonies.map { CeremonyReport($0) }
        self.overtaken = status.overtaken.isEmpty ? nil : status.overtaken.map(\.text)
    }

    static func text(_ gun: GUN, _ status: ManagedCollection.Status) -> String {
        var parts: [String] = []
        if status.staged.isEmpty {
            parts.append("No unpublished changes for \(gun)")
        } else {
            let rows = status.staged.enumerated().map { number, change in
                [String(number), change.action.rawValue, change.role.text, change.subject.rawValue, change.path]
            }
            parts.append("Unpublished changes for \(gun):")
            parts.append(Table(["#", "ACTION", "SCOPE", "TYPE", "PATH"], rows).text)
        }
        if !status.waiting.isEmpty {
            let numbers = status.waiting.sorted().map(String.init).joined(separator: ", ")
            parts.append("In what waits for signatures: \(numbers)")
        }
        parts += status.ceremonies.map { CeremonyReport($0).text }
        if !status.overtaken.isEmpty {
            let names = status.overtaken.map(\.text).joined(separator: ", ")
            parts.append("Published by now, by this machine or another: \(names). hallmark publish tells which")
        }
        guard let known = status.known else { return parts.joined(separator: "\n\n") }
        parts.append(known.wasRead ? "As last read from the server:" : "Initialized here, never read from the server:")
        let now = Expiry(Date())
        let rows = known.roles.map { role in
            [
                role.role.text, String(role.version), role.expires.text + (role.expires < now ? " (expired)" : ""),
                "\(role.threshold) of \(role.keyIDs.count)",
            ]
        }
        parts.append(Table(["ROLE", "VERSION", "EXPIRES", "THRESHOLD"], rows).text)
        return parts.joined(separator: "\n\n")
    }
}
