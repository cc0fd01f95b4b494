// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NotaryAPI
import Synchronization
import TUF

/// The keys that the signer holds, as far as this server uses them.
final class OnlineKeys: Sendable {
    private let signer: any Signer
    private let algorithm: KeyType
    private let store: TrustStore
    private let metrics: TrustMetrics
    private let known = Mutex(RecentValues<KeyID, PublicKey>(limit: 100_000))

    init(signer: any Signer, algorithm: KeyType, store: TrustStore, metrics: TrustMetrics) {
        self.signer = MeasuredSigner(signer: signer, calls: metrics.signerCalls)
        self.metrics = metrics
        self.algorithm = algorithm
        self.store = store
    }

    /// As many of a role's keys as its threshold asks for; nil when the signer does not hold so many.
    /// - Throws: ``SignerError`` with code `unavailable`.
    func held(of keys: RoleKeys) async throws -> [PublicKey]? {
        var held: [PublicKey] = []
        for key in keys.keys where held.count < keys.threshold {
            if try await self.holds(key.id) { held.append(key) }
        }
        return held.count == keys.threshold ? held : nil
    }

    /// Signs with keys that the signer holds.
    /// - Throws: ``SignerError``; `TUFError` when the signer made a signature that does not verify.
    func sign<Content: Payload>(
        _ payload: Content,
        of role: RoleName,
        with keys: [PublicKey]
    ) async throws -> Verified<Content> {
        do {
            let signed = try await payload.signed(
                by: keys.map { OnlineKey(publicKey: $0, signer: self.signer) },
                format: .notary
            )
            for key in keys { self.metrics.signatures.add(1, role.text, key.type.name) }
            return signed
        } catch {
            let reason = (error as? SignerError)?.code
            for key in keys {
                self.metrics.signatureFailures.add(1, role.text, key.type.name, reason?.label ?? "invalid")
            }
            guard reason == .keyNotFound else { throw error }
            self.known.withLock { known in
                for key in keys { known.remove(key.id) }
            }
            throw error
        }
    }

    /// The first key of a role that the signer holds; else one that it makes, or has made before for this collection's role.
    func current(_ role: RoleName, of gun: GUN, root: Root?) async throws -> PublicKey {
        for key in try root?.keys(of: role).keys ?? [] {
            if try await self.holds(key.id) { return key }
        }
        return try await self.new(role, of: gun)
    }

    /// A key that no metadata is signed with yet.
    func new(_ role: RoleName, of gun: GUN) async throws -> PublicKey {
        let key = try await self.signer.createKey(algorithm: self.algorithm, gun: gun.text, role: role)
        try await self.store.claim(key.id, for: gun)
        return key
    }

    /// Asks the signer something small, to know whether it answers.
    func check() async throws {
        try await self.signer.check()
    }

    func holds(_ id: KeyID) async throws -> Bool {
        if self.known.withLock({ $0.value(for: id) }) != nil { return true }
        guard let key = try await self.signer.publicKey(id) else { return false }
        self.known.withLock { $0.insert(key, for: id, cost: 1) }
        return true
    }
}

/// A key of the signer, for `TUF` to sign with.
private struct OnlineKey: SigningKey {
    let publicKey: PublicKey
    let signer: any Signer

    func sign(_ message: [UInt8]) async throws -> Signature {
        try await self.signer.sign(message, with: self.publicKey.id)
    }
}
