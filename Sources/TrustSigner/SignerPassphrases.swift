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
    /// - Throws: ``SignerError`` with code `passphrase` when there is none.
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

/// One passphrase in a file, for a signer that runs by itself. It is random, made at the first start, and must be backed up
/// apart from the database: either without the other is worth nothing.
package struct SignerPassphraseFile: SignerPassphrases {
    package let defaultAlias = "file"
    private let path: String

    package init(path: String) {
        self.path = path
    }

    package func passphrase(forAlias alias: String, keysExist: Bool) async throws -> Passphrase {
        guard alias == self.defaultAlias else {
            throw SignerError(.passphrase, "\(self.path) has no passphrase for the keys of alias \(alias)")
        }
        let path = self.path
        do {
            return try await BlockingWork.run { try Self.load(path, mayCreate: !keysExist) }
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
