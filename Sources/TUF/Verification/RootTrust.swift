// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials

/// Which root a client accepts for a collection that it knows nothing of yet.
public enum RootAnchor: Sendable, Hashable {
    /// Whatever root comes first, over an authenticated connection (trust on first use).
    case firstUse
    /// A root signed by one of these keys (ids of root certificates).
    case keyIDs(Set<KeyID>)
    /// None: the collection has to be known already.
    case knownOnly
}

/// The rules for the root of one collection or repository.
public struct RootTrust: Sendable {
    /// The collection's globally unique name, which every root certificate must carry (Notary); nil where root keys are no
    /// certificates.
    public let gun: String?
    /// What to accept when there is no trusted root.
    public let anchor: RootAnchor
    /// Whether certificates count that are out of force: for an owner who renews them, and never for who uses what they lead to.
    package var ignoresValidity = false

    /// Makes the rules for a collection whose root keys are X.509 certificates (Notary).
    public init(gun: String, anchor: RootAnchor = .firstUse) {
        self.gun = gun
        self.anchor = anchor
    }

    private init() {
        self.gun = nil
        self.anchor = .knownOnly
    }

    /// The rules of the TUF specification: a root that was given beforehand, and those that it leads to, each of the version
    /// after the one before it and signed by the keys of both.
    public static let succession = RootTrust()

    /// Decides on a root. Its own expiry is not looked at: an expired root may still lead to its successor.
    ///
    /// - Parameters:
    ///   - candidate: the root to decide on.
    ///   - trusted: the root trusted so far; nil when there is none, and the anchor decides.
    ///   - now: the time that certificates must be in force at.
    /// - Throws: ``TUFError`` with code `rootRotation` when the trusted root does not vouch for it, `untrustedRoot` when no root
    ///   certificate fits or no root is trusted yet, `thresholdNotMet` when it does not vouch for itself, `rollback` for a
    ///   lower version, `mismatch` for one that is not the next.
    public func verify(
        _ candidate: UnverifiedMetadata,
        after trusted: Root?,
        at now: Date
    ) throws -> Verified<Root> {
        let root: Root = try candidate.payload()
        var own = try self.rootKeys(root, at: self.ignoresValidity ? nil : now)
        if let trusted {
            do {
                // Their certificates may have expired since: that ends no succession.
                try self.rootKeys(trusted, at: nil).verify(candidate)
            } catch {
                throw TUFError(
                    .rootRotation,
                    role: .root,
                    "could not rotate trust to a new trusted root: version \(root.version) is not signed by the keys of "
                        + "the trusted version \(trusted.version) (\(error))"
                )
            }
            guard root.version >= trusted.version else {
                throw TUFError(.rollback, role: .root, "version \(root.version) is older than \(trusted.version)")
            }
            guard self.gun != nil || root.version == trusted.version + 1 else {
                throw TUFError(
                    .mismatch,
                    role: .root,
                    "has version \(root.version), but the one after \(trusted.version) was asked for"
                )
            }
        } else {
            own = RoleKeys(role: .root, keys: try self.anchored(own.keys), threshold: own.threshold)
        }
        return Verified(candidate, payload: root, signers: try own.verify(candidate))
    }

    /// Takes a root that this client has verified and stored before: it must still vouch for itself and belong to this
    /// collection, but its certificates may have expired since.
    /// - Throws: ``TUFError`` with code `thresholdNotMet`, `untrustedRoot`, `malformed` or `invalid`.
    public func verifyStored(_ stored: UnverifiedMetadata) throws -> Verified<Root> {
        let root: Root = try stored.payload()
        return Verified(stored, payload: root, signers: try self.rootKeys(root, at: nil).verify(stored))
    }

    /// The keys of a root that count when it, or its successor, is signed: of a collection's those that are certificates in its
    /// name, whenever they are in force.
    /// - Throws: ``TUFError`` with code `untrustedRoot` when there is none.
    public func keys(of root: Root) throws -> RoleKeys { try self.rootKeys(root, at: nil) }

    /// The keys that sign a root: where they are certificates those that are fit to, at a time or at whatever time.
    private func rootKeys(_ root: Root, at now: Date?) throws -> RoleKeys {
        let keys = try root.keys(of: .root)
        guard let gun = self.gun else { return keys }
        var refusal = TUFError(.untrustedRoot, role: .root, "lists no root key")
        var fit: [PublicKey] = []
        for key in keys.keys {
            do {
                guard key.type.isCertificate else {
                    throw TUFError(.untrustedRoot, role: .root, "key \(key.id) is not an X.509 certificate")
                }
                _ = try CertificateBundle(pem: key.bytes).rootLeaf(for: gun, at: now)
                fit.append(key)
            } catch let error as TUFError {
                refusal = TUFError(.untrustedRoot, role: .root, error.message)
            }
        }
        guard !fit.isEmpty else { throw refusal }
        return RoleKeys(role: .root, keys: fit, threshold: keys.threshold)
    }

    private func anchored(_ keys: [PublicKey]) throws -> [PublicKey] {
        switch self.anchor {
        case .firstUse: return keys
        case .keyIDs(let pinned):
            let matching = keys.filter { pinned.contains($0.id) }
            guard !matching.isEmpty else {
                throw TUFError(
                    .untrustedRoot,
                    role: .root,
                    "no root key of \(self.name) is pinned: it has \(keys.map(\.id.text).joined(separator: ", "))"
                )
            }
            return matching
        case .knownOnly:
            throw TUFError(.untrustedRoot, role: .root, "\(self.name) is not known, and trust on first use is off")
        }
    }

    private var name: String { self.gun ?? "the repository" }
}
