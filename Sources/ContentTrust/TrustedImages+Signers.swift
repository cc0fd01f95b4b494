// SPDX-License-Identifier: Apache-2.0

import KeyStore
import NotaryAPI
package import OCI
package import TUF
import TrustClient

/// What adding a signer did.
package struct AddedSigner: Sendable {
    /// The collection's name.
    package let gun: String
    /// The signer's role.
    package let role: RoleName
    /// The ids of the root keys of a collection that was made for it; empty for one that was there.
    package let newRootKeyIDs: [KeyID]
}

extension TrustedImages {
    /// Makes somebody a signer of a repository, as `docker trust signer add` does: `targets/NAME` and `targets/releases` may be signed
    /// with their keys. A collection that does not exist is made.
    /// - Parameter initialized: told the root keys of a collection that was made, before it is published.
    /// - Throws: ``ContentTrustError`` with code `signer` for a name that cannot be one; `TrustClientError`, `KeyStoreError`.
    @discardableResult
    package func addSigner(
        _ name: String,
        keys signerKeys: [PublicKey],
        to repository: ImageReference,
        initialized: @Sendable ([KeyID]) -> Void = { _ in }
    ) async throws -> AddedSigner {
        try Self.requireSignerName(name)
        let role = try Self.role(ofSigner: name)
        guard !signerKeys.isEmpty else { throw ContentTrustError(.signer, "a signer needs a public key") }
        let keys = try await self.signingKeys()
        return try await self.withOwnCollection(of: repository) { client in
            let publisher = CollectionPublisher(client, keys: keys)
            var newRootKeyIDs: [KeyID] = []
            do {
                _ = try await client.update()
            } catch let error as TrustClientError where error.code == .noTrustData {
                if try await client.cache.read(.root, of: client.gun) == nil {
                    newRootKeyIDs = [try await publisher.initialize(serverManagesSnapshot: true)]
                    initialized(newRootKeyIDs)
                }
            }
            let outcome = try await publisher.publish(Self.signerChanges(role, signerKeys))
            try client.ceremonies.requireComplete(outcome.pending)
            return AddedSigner(gun: repository.gun, role: role, newRootKeyIDs: newRootKeyIDs)
        }
    }

    /// Takes a signer from a repository: their role goes, and their keys go from `targets/releases`.
    /// - Parameter force: also the last one, or when tags that they released stop counting for it.
    /// - Throws: ``ContentTrustError`` with code `lastSigner` when that would happen; `TrustClientError`, with code `invalid` when there
    ///   is no such signer.
    package func removeSigner(_ name: String, from repository: ImageReference, force: Bool = false) async throws {
        let role = RoleName("targets/\(name)")
        guard role != .releases else {
            throw ContentTrustError(.signer, "releases is a reserved keyword and cannot be removed")
        }
        let keys = try await self.signingKeys()
        try await self.withOwnCollection(of: repository) { client in
            var collection = try await client.update()
            let removal = try await collection.removal(of: name, with: keys)
            if let objection = removal.objection, !force { throw ContentTrustError(.lastSigner, objection) }
            let outcome = try await CollectionPublisher(client, keys: keys).publish(removal.changes)
            try client.ceremonies.requireComplete(outcome.pending)
        }
    }

    /// Reads public keys or certificates of somebody, PEM, as `docker trust signer add --key` takes them.
    /// - Throws: ``ContentTrustError`` with code `signer` that names the file; `TrustClientError` with code `storage`.
    package func signerKeys(files paths: [String]) async throws -> [PublicKey] {
        var keys: [PublicKey] = []
        for path in paths {
            let bytes = try await ManagedCollection.read(path, limit: PublicKeyFile.limit)
            do {
                keys.append(try PublicKeyFile.listedKey(bytes, at: self.now()))
            } catch {
                throw ContentTrustError(.signer, "could not read a public key from \(path): \(error)")
            }
        }
        return keys
    }

    /// The role of somebody who signs.
    /// - Throws: ``ContentTrustError`` with code `signer` for a name that no role can have.
    static func role(ofSigner name: String) throws -> RoleName {
        guard !name.isEmpty, !name.contains("/"), let role = try? RoleName(notaryDelegation: "targets/\(name)"),
            role != .releases
        else {
            throw ContentTrustError(
                .signer,
                "\"\(name)\" cannot be the name of a signer: say lower-case letters and digits, - or _, and not releases"
            )
        }
        return role
    }

    private static func requireSignerName(_ name: String) throws {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        let isValid = name.utf8.enumerated().allSatisfy { index, byte in
            isAlphanumeric(byte) || (index > 0 && (byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")))
        }
        guard isValid, !name.isEmpty else {
            throw ContentTrustError(
                .signer,
                "signer name \"\(name)\" must start with lowercase alphanumeric characters and can include \"-\" or \"_\" after the "
                    + "first character"
            )
        }
        guard name != "releases" else {
            throw ContentTrustError(.signer, "releases is a reserved keyword, please use a different signer name")
        }
    }

    static func signerChanges(_ role: RoleName, _ keys: [PublicKey]) -> [Change] {
        [role, .releases].flatMap { Change.delegate(to: $0, keys: keys, paths: [""]) }
    }

    /// The public half of a signer's key here, made if there is none, as `docker trust sign` finds and makes it.
    static func signerKey(_ role: RoleName, _ keys: some SigningKeys) async throws -> PublicKey {
        if let known = try await keys.available().first(where: { $0.role == role }) {
            let key = try await keys.key(known.id)
            let probe = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
            // A public half alone can lie on a token: what is delegated to must be able to sign.
            guard key.publicKey.isValid(try await key.sign(probe), for: probe) else {
                throw ContentTrustError(
                    .signer,
                    "the key \(known.id) of \(role) signs what its public half does not verify"
                )
            }
            return key.publicKey
        }
        let key = try await PrivateKey.generate(.p256)
        try await keys.add(key, role: role, gun: nil)
        return key.publicKey
    }
}
