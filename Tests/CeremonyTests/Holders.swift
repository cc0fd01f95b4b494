// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import TUF

/// People with a key each.
struct Holders {
    private let privateKeys: [PrivateKey]
    /// The public halves, as the metadata names them.
    let keys: [PublicKey]

    init(_ count: Int, _ algorithm: PrivateKey.Algorithm = .ed25519, format: WireFormat = .tuf) async throws {
        var privateKeys: [PrivateKey] = []
        for _ in 0..<count { privateKeys.append(try await PrivateKey.generate(algorithm)) }
        self.privateKeys = privateKeys
        self.keys = try privateKeys.map { try $0.publicKey.spelled(in: format) }
    }

    /// Holders of root keys of a collection: certificates in its name.
    init(_ count: Int, of gun: String) async throws {
        var privateKeys: [PrivateKey] = []
        for _ in 0..<count { privateKeys.append(try await PrivateKey.generate(.p256)) }
        self.privateKeys = privateKeys
        self.keys = try privateKeys.map {
            try PublicKey.rootCertificate(
                for: gun,
                signedBy: $0.certificateKey,
                at: Date(timeIntervalSince1970: 1_900_000_000)
            )
        }
    }

    /// What one of them signs with.
    func signing(_ index: Int) throws -> [any SigningKey] {
        [try ListedPrivateKey(self.privateKeys[index], as: self.keys[index])]
    }

    /// A root whose roles all have these keys.
    static func root(_ keys: [PublicKey], version: Int64 = 1, threshold: Int64 = 2) -> Root {
        let definition = RoleDefinition(keyIDs: keys.map(\.id), threshold: threshold)
        var root = Root(
            version: version,
            expires: Expiry(Date(timeIntervalSince1970: 2_000_000_000)),
            keys: keys,
            roles: [:]
        )
        for role in RoleName.topLevel { root.roles[role] = definition }
        return root
    }
}
