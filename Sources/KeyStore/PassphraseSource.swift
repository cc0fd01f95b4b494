// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Synchronization
package import TUF

/// A passphrase that is wanted, and what for.
package struct PassphraseRequest: Sendable, Hashable {
    package enum Purpose: Sendable, Hashable {
        /// To open a key that is there.
        case unlock
        /// To encrypt a key with from now on.
        case create
        /// To use the keys of a token with this label: a PIN. What has passphrases does not answer: each wrong PIN costs a try.
        case pin(token: String)
    }

    /// Wrong passphrases after which no source is asked again.
    static let maximumAttempts = 12
    /// The fewest characters that a new passphrase must have, except from the variables that docker and notary have.
    package static let minimumLength = 8

    /// What it is wanted for.
    package let purpose: Purpose
    /// The key; its text is empty when only the key itself could tell.
    package let keyID: KeyID
    /// What the key signs: a passphrase serves all keys of a role.
    package let role: RoleName
    /// How many passphrases for this key turned out to be wrong already.
    package var attempt: Int

    package init(purpose: Purpose, keyID: KeyID, role: RoleName, attempt: Int = 0) {
        self.purpose = purpose
        self.keyID = keyID
        self.role = role
        self.attempt = attempt
    }

    /// The error when no source has one.
    package var unavailable: KeyStoreError {
        if case .pin(let token) = self.purpose {
            return KeyStoreError(
                .passphraseUnavailable,
                "no PIN for the token \(token): set \(TokenSettings.pinVariable), or run on a terminal"
            )
        }
        let variable = EnvironmentPassphrases.variables(for: self.role).joined(separator: " or ")
        return KeyStoreError(
            .passphraseUnavailable,
            "no passphrase for the \(self.role) key \(self.keyID.text.prefix(7)): set \(variable), name a file or a command that "
                + "has it, or run on a terminal"
        )
    }

    /// The error when all that the sources had are wrong.
    var attemptsExceeded: KeyStoreError {
        if case .pin(let token) = self.purpose {
            return KeyStoreError(.attemptsExceeded, "the PIN of the token \(token) is wrong")
        }
        return KeyStoreError(
            .attemptsExceeded,
            "password invalid for the \(self.role) key \(self.keyID.text.prefix(7)), operation has failed."
        )
    }
}

/// Where passphrases come from.
package protocol PassphraseSource: Sendable {
    /// A passphrase for a key; nil when this source has none, so that another may be asked.
    ///
    /// Asked again with a higher attempt when the one it gave was wrong.
    /// - Throws: ``KeyStoreError``, notably with code `attemptsExceeded` when what the source has is wrong, and nobody else should
    ///   be asked.
    func passphrase(for request: PassphraseRequest) async throws -> Passphrase?
}

/// Asks several sources in their order; the first that has a passphrase is the one, also when it is wrong.
package struct PassphraseChain: PassphraseSource {
    private let sources: [any PassphraseSource]

    package init(_ sources: [any PassphraseSource]) {
        self.sources = sources
    }

    package func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        for source in self.sources {
            if let passphrase = try await source.passphrase(for: request) { return passphrase }
        }
        return nil
    }
}

/// The variables of docker and notary. A wrong one ends the operation: it is a mistake that a prompt would only hide.
package struct EnvironmentPassphrases: PassphraseSource {
    private let environment: [String: String]

    /// - Parameter environment: the process's variables.
    package init(_ environment: [String: String]) {
        self.environment = environment
    }

    /// The variables for a role's keys, the first that is set counts: notary's, then docker's.
    static func variables(for role: RoleName) -> [String] {
        switch role {
        case .root: ["NOTARY_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"]
        case .targets: ["NOTARY_TARGETS_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]
        case .snapshot: ["NOTARY_SNAPSHOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]
        case .timestamp: ["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]
        default: ["NOTARY_DELEGATION_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]
        }
    }

    package func passphrase(for request: PassphraseRequest) throws -> Passphrase? {
        if case .pin = request.purpose { return nil }
        // Both may be set, for keys that docker and notary made: each is tried once.
        var values: [String] = []
        for name in Self.variables(for: request.role) {
            guard let value = self.environment[name], !value.isEmpty, !values.contains(value) else { continue }
            values.append(value)
        }
        guard !values.isEmpty else { return nil }
        guard values.indices.contains(request.attempt) else { throw request.attemptsExceeded }
        return Passphrase(values[request.attempt])
    }
}

/// One passphrase for all keys, known beforehand. A wrong one ends the operation.
package struct FixedPassphrase: PassphraseSource {
    private let passphrase: Passphrase

    package init(_ passphrase: Passphrase) {
        self.passphrase = passphrase
    }

    package func passphrase(for request: PassphraseRequest) throws -> Passphrase? {
        guard request.attempt == 0 else { throw request.attemptsExceeded }
        return self.passphrase
    }
}

/// The first line of a file. A wrong one ends the operation.
package struct PassphraseFile: PassphraseSource {
    private let path: String

    package init(path: String) {
        self.path = path
    }

    package func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        if case .pin = request.purpose { return nil }
        guard request.attempt == 0 else { throw request.attemptsExceeded }
        let path = self.path
        guard let bytes = try await BlockingWork.wait({ try KeyFile.read(path, limit: 4096) }) else {
            throw KeyStoreError(.passphraseUnavailable, "the passphrase file \(path) does not exist")
        }
        return try Passphrase.firstLine(of: bytes, from: path, for: request)
    }
}

/// Remembers a right passphrase for the other keys of its role, for as long as the process runs.
///
/// Only what comes from the source is kept: a passphrase that another key of the role refuses is asked for again, as a first
/// attempt for that key.
package final class CachingPassphrases: PassphraseSource {
    private struct State {
        var passphrases: [RoleName: Passphrase] = [:]
        /// Keys for which the remembered passphrase was wrong: that attempt was ours, not the source's.
        var refused: Set<KeyID> = []
    }

    private let source: any PassphraseSource
    private let state = Mutex(State())

    package init(_ source: any PassphraseSource) {
        self.source = source
    }

    package func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        // A PIN is no passphrase of any role, and the token remembers who is logged in.
        if case .pin = request.purpose { return try await self.source.passphrase(for: request) }
        if request.attempt == 0 {
            let known = self.state.withLock { state in
                let known = state.passphrases[request.role]
                if known == nil || request.purpose == .create {
                    state.refused.remove(request.keyID)
                } else {
                    state.refused.insert(request.keyID)
                }
                return known
            }
            if let known { return known }
        }
        var inner = request
        if request.attempt > 0, self.state.withLock({ $0.refused.contains(request.keyID) }) { inner.attempt -= 1 }
        let passphrase = try await self.source.passphrase(for: inner)
        self.state.withLock { $0.passphrases[request.role] = passphrase }
        return passphrase
    }
}

extension Passphrase {
    /// What a file or a command said.
    static func firstLine(of bytes: [UInt8], from origin: String, for request: PassphraseRequest) throws -> Passphrase {
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        let passphrase = Passphrase(trimming: String(decoding: line, as: UTF8.self))
        guard !passphrase.isEmpty else {
            throw KeyStoreError(.passphraseUnavailable, "\(origin) has no passphrase in its first line")
        }
        guard request.purpose != .create || passphrase.count >= PassphraseRequest.minimumLength else {
            throw KeyStoreError(
                .weakPassphrase,
                "the passphrase from \(origin) is too short for a new key: it needs \(PassphraseRequest.minimumLength) characters"
            )
        }
        return passphrase
    }
}
