// SPDX-License-Identifier: Apache-2.0

package import KeyStore

extension ClientSettings {
    /// The private keys of whoever uses this: those of the trust directory, and of the hardware token that the environment names.
    /// - Throws: `KeyStoreError` for variables that make no sense, or a directory that cannot be read.
    package func keyStore() async throws -> KeyStore {
        try await KeyStore(
            trustDirectory: self.trustDirectory,
            token: TokenSettings(environment: self.environment).map { HardwareToken($0) },
            encryption: KeyEncryption(environment: self.environment)
        )
    }
}
