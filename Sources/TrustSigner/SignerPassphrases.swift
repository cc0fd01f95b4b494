// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
import Foundation
package import KeyStore
import NotaryAPI

/// Where a signer's passphrases come from. Each stored key names the alias of the one that opens it.
package protocol SignerPassphrases: Sendable {
    /// The alias under which new keys are stored.
    var defaultAlias: String { get }

    /// The passphrase of an alias.
    /// - Parameter keysExist: whether keys are stored under it, so that a lost passphrase is not quietly replaced by a new one.
    /// - Throws: `SignerError` with code `passphrase` when there is none.
    func passphrase(forAlias alias: String, keysExist: Bool) async throws -> Passphrase
}

/// Passphrases in variables, as notary-signer has them: `NOTARY_SIGNER_<ALIAS>`, the alias in upper case, `.` as `_`.
package struct EnvironmentSignerPassphrases: SignerPassphrases {
    package let defaultAlias: String
    private let environment: [String: String]

    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - defaultAlias: notary-signer's `storage.default_alias`; `NOTARY_SIGNER_DEFAULT_ALIAS` when nil.
    /// - Throws: `SignerError` with code `passphrase` when neither names an alias.
    package init(environment: [String: String], defaultAlias: String? = nil) throws {
        self.environment = environment
        guard let alias = defaultAlias ?? environment["NOTARY_SIGNER_DEFAULT_ALIAS"], !alias.isEmpty else {
            throw SignerError(
                .passphrase,
                "no alias for the passphrase of new keys: set storage.default_alias or NOTARY_SIGNER_DEFAULT_ALIAS"
            )
        }
        self.defaultAlias = alias
    }

    package func passphrase(forAlias alias: String, keysExist: Bool) throws -> Passphrase {
        let name = "NOTARY_SIGNER_" + alias.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
        guard let value = self.environment[name], !value.isEmpty else {
            throw SignerError(
                .passphrase,
                "\(name) is not set: it must hold the passphrase of the keys of alias \(alias)"
            )
        }
        return Passphrase(value)
    }
}

/// Passphrases in files, for a signer that runs by itself: `PATH`, and `PATH-2` and so on for those that replaced it. Each is
/// random, the first made at the first start, and must be backed up apart from the database: either without the other is worth
/// nothing.
package struct SignerPassphraseFile: SignerPassphrases {
    private static let alias = "file"

    private let path: String

    package init(path: String) {
        self.path = path
    }

    /// That of the newest file: looked up each time, so that a signer that runs hears of a new one.
    package var defaultAlias: String { Self.alias(self.newest) }

    package func passphrase(forAlias alias: String, keysExist: Bool) async throws -> Passphrase {
        guard let generation = Self.generation(alias) else {
            throw SignerError(.passphrase, "\(self.path) has no passphrase for the keys of alias \(alias)")
        }
        let path = self.path(generation)
        return try await Self.reporting {
            try Self.load(path, mayCreate: !keysExist && generation == 1)
        }
    }

    /// Makes a new passphrase, under which new keys are stored from now on.
    /// - Returns: its alias.
    /// - Throws: `SignerError` with code `passphrase` when it cannot be stored.
    package func renew() async throws -> String {
        try await Self.reporting {
            let generation = self.newest + 1
            _ = try Self.load(self.path(generation), mayCreate: true)
            return Self.alias(generation)
        }
    }

    /// Whether an alias is that of such a file.
    package static func isAlias(_ alias: String) -> Bool { Self.generation(alias) != nil }

    private var newest: Int {
        let directory = DurableFile.directory(of: self.path)
        let prefix = (self.path as NSString).lastPathComponent + "-"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.compactMap { name in
            name.hasPrefix(prefix) ? Self.generation(Self.alias + "-" + name.dropFirst(prefix.count)) : nil
        }.max() ?? 1
    }

    private func path(_ generation: Int) -> String { generation == 1 ? self.path : "\(self.path)-\(generation)" }

    private static func alias(_ generation: Int) -> String {
        generation == 1 ? Self.alias : "\(Self.alias)-\(generation)"
    }

    /// What is after the last hyphen, if it is written as we write it.
    private static func generation(_ alias: String) -> Int? {
        guard alias != Self.alias else { return 1 }
        guard alias.hasPrefix(Self.alias + "-"), let number = Int(alias.dropFirst(Self.alias.count + 1)),
            (2...1_000_000).contains(number), Self.alias(number) == alias
        else { return nil }
        return number
    }

    private static func reporting<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        do {
            return try await BlockingWork.run(body)
        } catch let error as FileSystemError {
            throw SignerError(.passphrase, error.description)
        }
    }

    private static func load(_ path: String, mayCreate: Bool) throws -> Passphrase {
        if let bytes = try DurableFile.read(path, limit: 4096) {
            let passphrase = Passphrase(trimming: String(decoding: bytes, as: UTF8.self))
            guard !passphrase.isEmpty else {
                throw SignerError(.passphrase, "\(path) is empty: restore it from a backup")
            }
            return passphrase
        }
        guard mayCreate else {
            throw SignerError(
                .passphrase,
                "\(path) is gone, and the keys in the database cannot be read without it: restore it from a backup"
            )
        }
        try DurableFile.makeDirectory(DurableFile.directory(of: path))
        let random = SymmetricKey(size: .bits256).withUnsafeBytes { CompactJWE.encode(Array($0)) }
        // Another process may have been faster: then its file is the one.
        _ = try DurableFile.create(path, with: Array((random + "\n").utf8))
        return try self.load(path, mayCreate: false)
    }
}

/// Notary's variables for new keys; for keys that were stored before there were any, the file.
package struct SignerPassphraseSources: SignerPassphrases {
    private let variables: EnvironmentSignerPassphrases
    private let file: SignerPassphraseFile

    package init(variables: EnvironmentSignerPassphrases, file: SignerPassphraseFile) {
        self.variables = variables
        self.file = file
    }

    package var defaultAlias: String { self.variables.defaultAlias }

    package func passphrase(forAlias alias: String, keysExist: Bool) async throws -> Passphrase {
        guard alias != self.defaultAlias, SignerPassphraseFile.isAlias(alias) else {
            return try self.variables.passphrase(forAlias: alias, keysExist: keysExist)
        }
        return try await self.file.passphrase(forAlias: alias, keysExist: true)
    }
}
