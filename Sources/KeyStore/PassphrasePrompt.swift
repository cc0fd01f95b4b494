// SPDX-License-Identifier: Apache-2.0

import TUF

/// A terminal with a person at it.
package protocol Terminal: Sendable {
    /// False when nobody can be asked: a pipe, a file, a service.
    var isInteractive: Bool { get }

    /// Shows text, without a line end of its own.
    func write(_ text: String) async throws

    /// One line, typed unseen, without its end; nil at the end of input.
    func readSecret() async throws -> String?
}

/// Asks on the terminal, in the words of docker and notary, so that scripts that answer them go on working.
package struct PassphrasePrompt: PassphraseSource {
    /// Attempts to think of a new passphrase, and to remember an old one.
    private static let maximumCreations = 12
    private static let maximumUnlocks = 4

    /// How the role of a key is called.
    package enum Wording: Sendable {
        /// By its name, as notary does.
        case notary
        /// `repository` for targets and snapshot, as docker does.
        case docker
    }

    private let terminal: any Terminal
    private let wording: Wording

    package init(terminal: any Terminal, wording: Wording = .notary) {
        self.terminal = terminal
        self.wording = wording
    }

    package func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        guard self.terminal.isInteractive else { return nil }
        switch request.purpose {
        case .unlock: return try await self.unlock(request)
        case .create: return try await self.create(request)
        case .pin(let token):
            if request.attempt > 0 { try await self.terminal.write("PIN incorrect. Please retry.\n") }
            return try await self.ask("Enter PIN for token \(Self.printable(token)): ")
        }
    }

    private func unlock(_ request: PassphraseRequest) async throws -> Passphrase {
        guard request.attempt < Self.maximumUnlocks else { throw request.attemptsExceeded }
        if request.attempt > 0 { try await self.terminal.write("Passphrase incorrect. Please retry.\n") }
        return try await self.ask("Enter passphrase for \(self.name(of: request)): ")
    }

    private func create(_ request: PassphraseRequest) async throws -> Passphrase {
        if request.role == .root { try await self.terminal.write(Self.rootWarning) }
        let name = "new \(self.name(of: request))"
        for _ in 0..<Self.maximumCreations {
            let passphrase = try await self.ask("Enter passphrase for \(name): ")
            guard passphrase.count >= PassphraseRequest.minimumLength else {
                try await self.terminal.write(
                    "Passphrase is too short. Please use a password manager to generate and store a good random passphrase.\n"
                )
                continue
            }
            if try await self.ask("Repeat passphrase for \(name): ") == passphrase { return passphrase }
            try await self.terminal.write("Passphrases do not match. Please retry.\n")
        }
        throw KeyStoreError(.attemptsExceeded, "maximum number of passphrase attempts exceeded")
    }

    private func ask(_ prompt: String) async throws -> Passphrase {
        try await self.terminal.write(prompt)
        let line = try await self.terminal.readSecret()
        try await self.terminal.write("\n")
        guard let line else {
            throw KeyStoreError(.passphraseUnavailable, "the input ended where a passphrase was expected")
        }
        return Passphrase(trimming: line)
    }

    private func name(of request: PassphraseRequest) -> String {
        // The role comes from a file's header: nothing in it may steer the terminal.
        var role = Self.printable(request.role.text)
        if self.wording == .docker, [.targets, .snapshot].contains(request.role) { role = "repository" }
        let id = request.keyID.text.isEmpty ? "" : " with ID \(request.keyID.text.prefix(7))"
        return "\(role.isEmpty ? "" : "\(role.prefix(255)) ")key\(id)"
    }

    private static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.properties.isPrintable }))
    }

    private static let rootWarning = """
        You are about to choose the passphrase of a new root key. It protects the key from which
        all trust in your collections comes, so make it long, and let nobody else see it. Keep the
        passphrase in a password manager, and a copy of the key's file in a safe place that is not
        connected to anything. Whoever has both can sign in your name. Without either of them the
        key is lost, and everybody who trusts your collections must be told to trust them anew.
        The key's file lies in the private folder of your trust directory.

        """
}

extension Unicode.Scalar.Properties {
    /// True for what takes its place on a line, and does nothing else.
    fileprivate var isPrintable: Bool {
        switch self.generalCategory {
        case .control, .format, .surrogate, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: false
        default: true
        }
    }
}
