// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
package import Foundation
import HTTPService
import SwiftASN1
import Synchronization
package import TokenAuthentication
import X509

/// The keys of the token service, made when they are not there, in a directory of its own:
///
/// - `certificates.pem`: what those who verify tokens are given. It stays the same while signing keys come and go.
/// - `ca.key`: signs the certificates of signing keys.
/// - `key.pem`: the signing key and its certificate, which tokens carry. Replaced when two thirds of its 90 days are over;
///   what it signed is valid beyond that.
/// - `refresh.key`: makes refresh tokens. Whoever removes it ends all of them.
package final class TokenKeys: Sendable {
    private static let refreshKeySize = 32

    private let authority: LocalCertificateAuthority
    private let state: Mutex<(identity: LocalCertificateAuthority.Identity, signer: TokenSigner)>
    let refreshKey: SymmetricKey

    /// Reads the keys, making those that are missing. Blocks.
    /// - Throws: `TLSIdentityError`, `FileSystemError`, `TokenError`.
    package init(directory: String, now: @escaping @Sendable () -> Date) throws {
        self.authority = LocalCertificateAuthority(
            directory: directory,
            certificateName: "certificates.pem",
            now: now
        )
        let identity = try self.authority.identity(for: .tokenSigner)
        self.state = Mutex((identity, try Self.signer(identity)))
        self.refreshKey = try Self.refreshKey(directory + "/refresh.key")
    }

    /// The file for those who verify tokens.
    package var certificatesPath: String { self.authority.certificatePath }

    /// Signs tokens.
    package var signer: TokenSigner { self.state.withLock(\.signer) }

    /// Takes up a new signing key where the time for one has come, or another process has made one. Blocks.
    /// - Returns: true when it is another.
    /// - Throws: as ``init(directory:now:)``; what is in use stays in use.
    @discardableResult
    package func refresh() throws -> Bool {
        let identity = try self.authority.identity(for: .tokenSigner)
        guard identity != self.state.withLock(\.identity) else { return false }
        let signer = try Self.signer(identity)
        self.state.withLock { $0 = (identity, signer) }
        return true
    }

    private static func signer(_ identity: LocalCertificateAuthority.Identity) throws -> TokenSigner {
        try TokenSigner(pem: identity.keyPEM, certificates: [Certificate(pemEncoded: identity.chainPEM)])
    }

    private static func refreshKey(_ path: String) throws -> SymmetricKey {
        let new = SymmetricKey(size: .bits256)
        _ = try DurableFile.create(path, with: new.withUnsafeBytes { Array($0) })
        guard let bytes = try DurableFile.read(path, limit: 4096), bytes.count == Self.refreshKeySize else {
            throw TokenError(.key, "\(path) is not a key of \(Self.refreshKeySize) bytes: remove it to have one made")
        }
        return SymmetricKey(data: bytes)
    }
}
