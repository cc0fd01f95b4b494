// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import KeyStore
import TUF

/// Where a passphrase is, and of which keys, as an option says it: `PLACE` for all of them, `ROLE=PLACE` for those of a role.
struct PassphrasePlace: ExpressibleByArgument, Sendable {
    /// Whose keys: the roles that have variables of their own.
    enum Group: String, Sendable {
        case root
        case targets
        case snapshot
        case delegation

        func covers(_ role: RoleName) -> Bool {
            switch self {
            case .root: role == .root
            case .targets: role == .targets
            case .snapshot: role == .snapshot
            case .delegation: role.isDelegation
            }
        }
    }

    let group: Group?
    let place: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        self.group = parts.count == 2 ? Group(rawValue: String(parts[0])) : nil
        self.place = self.group == nil ? argument : String(parts[1])
        if self.place.isEmpty { return nil }
    }

    /// An open file descriptor.
    static func descriptor(argument: String) throws -> PassphrasePlace {
        guard let place = PassphrasePlace(argument: argument), let number = Int32(place.place), number >= 0 else {
            throw ValidationError("\(argument) is not the number of an open file descriptor")
        }
        return place
    }

    /// The source, for the keys that are meant.
    func source(_ source: any PassphraseSource) -> any PassphraseSource {
        guard let group = self.group else { return source }
        return RolePassphrases(group: group, source: source)
    }
}

/// Passphrases for the keys of some roles only.
private struct RolePassphrases: PassphraseSource {
    let group: PassphrasePlace.Group
    let source: any PassphraseSource

    func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        guard self.group.covers(request.role) else { return nil }
        return try await self.source.passphrase(for: request)
    }
}

extension [PassphrasePlace] {
    /// One after the other; what is said of a role goes before what is said of all.
    func sources(_ make: (String) -> any PassphraseSource) -> [any PassphraseSource] {
        let ordered = self.filter { $0.group != nil } + self.filter { $0.group == nil }
        return ordered.map { $0.source(make($0.place)) }
    }
}
