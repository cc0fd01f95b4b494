// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import TUF

extension PrivateKeyPEM {
    /// Reads the key of a file that is in no store, asking for its passphrase where it has one.
    /// - Throws: ``KeyStoreError`` with code `passphraseUnavailable` or `attemptsExceeded`; as ``decode(passphrase:)``.
    package func unlocked(by passphrases: some PassphraseSource) async throws -> PrivateKey {
        guard self.isEncrypted else { return try await BlockingWork.run { try self.decode(passphrase: nil) } }
        var request = PassphraseRequest(purpose: .unlock, keyID: KeyID(""), role: self.attributes.role)
        while request.attempt < PassphraseRequest.maximumAttempts {
            guard let passphrase = try await passphrases.passphrase(for: request) else { throw request.unavailable }
            do {
                return try await BlockingWork.run { try self.decode(passphrase: passphrase) }
            } catch let error as KeyStoreError where error.code == .wrongPassphrase {
                request.attempt += 1
            }
        }
        throw request.attemptsExceeded
    }
}
