// SPDX-License-Identifier: Apache-2.0

package import TUF

/// Metadata that waits for the signatures of its role's key holders, and the keys that may give them.
///
/// Whoever signs or merges goes through here, so that a signature which would not count is refused where it is made: wrong, by a
/// key that is none of the role's, or by one that has signed already. It makes no difference which format the metadata has.
package struct SigningCeremony: Sendable {
    /// Keys of which a number must sign.
    package struct Requirement: Sendable, Hashable {
        /// Who says so: `root 4`, `targets`.
        package let authority: String
        /// The keys and their threshold.
        package let keys: RoleKeys

        package init(authority: String, keys: RoleKeys) {
            self.authority = authority
            self.keys = keys
        }
    }

    /// How far one requirement is met.
    package struct Progress: Sendable, Hashable {
        /// Who says what is required.
        package let authority: String
        /// How many keys must sign.
        package let threshold: Int
        /// The keys that have signed.
        package let signed: [KeyID]
        /// The keys that have not.
        package let missing: [KeyID]
        /// Whether enough have signed. Keys that are one under several ids count once.
        package let isMet: Bool
    }

    /// The role that is to be signed.
    package let role: RoleName
    /// What must be met: of a new root the threshold of the one before it too.
    package let requirements: [Requirement]
    /// The metadata with the signatures so far.
    package private(set) var metadata: PendingMetadata
    /// Keys whose signatures are welcome though none is required: those before a rotation, whose readers go on reading.
    private let alsoAllowed: [PublicKey]

    /// Takes up a ceremony.
    /// - Throws: ``CeremonyError`` with code `wrongSignature` or `foreignKey` when the metadata carries a signature that cannot
    ///   count.
    package init(
        _ metadata: PendingMetadata,
        role: RoleName,
        requirements: [Requirement],
        alsoAllowed: [PublicKey] = []
    ) throws {
        self.role = role
        self.requirements = requirements
        self.metadata = metadata
        self.alsoAllowed = alsoAllowed
        for signature in metadata.signatures { try self.check(signature) }
    }

    /// A new root: the keys of the one before it have to sign, and its own.
    /// - Parameter trust: which of a root's keys count. A collection's are certificates in its name.
    /// - Throws: ``CeremonyError`` with code `invalid` when it is not the next; as ``init(_:role:requirements:alsoAllowed:)``;
    ///   `TUFError` with code `untrustedRoot` when none of its keys counts.
    package static func root(
        _ metadata: PendingMetadata,
        after trusted: Root?,
        trust: RootTrust = .succession
    ) throws -> SigningCeremony {
        let root: Root = try metadata.payload()
        if let trusted {
            let (next, isLast) = trusted.version.addingReportingOverflow(1)
            guard root.version == next, !isLast else {
                throw CeremonyError(
                    .invalid,
                    "version \(root.version) of the root cannot follow version \(trusted.version): each must be the next"
                )
            }
        }
        let before = try trusted.map {
            Requirement(authority: "root \($0.version)", keys: try trust.keys(of: $0))
        }
        let own = Requirement(authority: "root \(root.version)", keys: try trust.keys(of: root))
        return try SigningCeremony(metadata, role: .root, requirements: [before, own].compactMap { $0 })
    }

    /// A ceremony of what somebody has handed over, against metadata that whoever signs trusts and nothing else.
    /// - Parameter given: a root, and for a delegated role who delegates to it.
    /// - Throws: ``CeremonyError`` with code `notFound` when nothing given says who signs it; as ``root(_:after:trust:)``.
    package static func trusting(
        _ given: [PendingMetadata],
        with metadata: PendingMetadata,
        role: RoleName
    ) throws -> SigningCeremony {
        let root: Root? = try given.first { $0.type == "root" }?.payload()
        if role == .root { return try .root(metadata, after: root) }
        var requirement: Requirement?
        if !role.isDelegation, let root {
            requirement = Requirement(authority: "root \(root.version)", keys: try root.keys(of: role))
        }
        for delegator in given where role.isDelegation && delegator.type == "targets" {
            let targets: Targets = try delegator.payload()
            guard targets.delegations[role] != nil else { continue }
            requirement = Requirement(
                authority: "delegations of version \(targets.version)",
                keys: try targets.delegations.keys(of: role)
            )
        }
        guard let requirement else {
            throw CeremonyError(.notFound, "nothing that you trust says who signs \(role)")
        }
        return try SigningCeremony(metadata, role: role, requirements: [requirement])
    }

    /// All keys that may sign, each id once.
    package var keys: [PublicKey] {
        var seen: Set<KeyID> = []
        return (self.requirements.flatMap(\.keys.keys) + self.alsoAllowed).filter { seen.insert($0.id).inserted }
    }

    /// How far each requirement is met.
    package var progress: [Progress] {
        let signed = Set(self.metadata.signatures.map(\.keyID))
        return self.requirements.map { requirement in
            let ids = requirement.keys.keys.map(\.id)
            // Each signature was checked when it came. One key under several ids counts once, as it does for readers.
            let keys = requirement.keys.keys.filter { signed.contains($0.id) }
            let isMet = Set(keys.compactMap { try? $0.canonicalID }).count >= max(1, requirement.keys.threshold)
            return Progress(
                authority: requirement.authority,
                threshold: requirement.keys.threshold,
                signed: ids.filter { signed.contains($0) },
                missing: ids.filter { !signed.contains($0) },
                isMet: isMet
            )
        }
    }

    /// Whether enough have signed.
    package var isComplete: Bool { self.progress.allSatisfy(\.isMet) }
}

// MARK: - Signing

extension SigningCeremony {
    /// Signs with keys, all or none of them.
    /// - Throws: ``CeremonyError`` with code `foreignKey`, `alreadySigned` or `wrongSignature`; whatever a key throws.
    package mutating func sign(with keys: [any SigningKey]) async throws {
        guard !keys.isEmpty else { throw CeremonyError(.notFound, "there is no key here that may sign \(self.role)") }
        var new: [Signature] = []
        for key in keys {
            let listed = try key.publicKey.spelled(in: self.metadata.format)
            guard self.keys.contains(where: { $0.id == listed.id }) else { throw self.foreign(listed.id) }
            guard !self.metadata.signatures.contains(where: { $0.keyID == listed.id }) else {
                throw CeremonyError(.alreadySigned, "key \(listed.id) has signed this \(self.role) already")
            }
            new += try await self.metadata.signatures(of: [key])
        }
        for signature in new { try self.check(signature) }
        for signature in new { self.metadata.add(signature) }
    }

    /// Takes over the signatures of another copy.
    /// - Returns: the keys whose signatures are new.
    /// - Throws: ``CeremonyError`` with code `otherContent`, `wrongSignature`, `foreignKey`, or `alreadySigned` when the copy
    ///   has nothing new.
    @discardableResult
    package mutating func merge(_ copy: PendingMetadata) throws -> [KeyID] {
        guard self.metadata.hasSameContent(as: copy) else {
            throw CeremonyError(
                .otherContent,
                "the copies do not say the same: signatures on one do not count on the other"
            )
        }
        for signature in copy.signatures { try self.check(signature) }
        let known = Set(self.metadata.signatures.map(\.keyID))
        let new = copy.signatures.filter { !known.contains($0.keyID) }
        guard !new.isEmpty else {
            throw CeremonyError(.alreadySigned, "all signatures of that copy are on this one already")
        }
        for signature in new { self.metadata.add(signature) }
        return new.map(\.keyID)
    }

    /// Takes over what another copy has more, if it has.
    /// - Throws: as ``merge(_:)``, but not when there is nothing new.
    package mutating func absorb(_ copy: PendingMetadata) throws {
        do {
            try self.merge(copy)
        } catch let error as CeremonyError where error.code == .alreadySigned {}
    }

    private func check(_ signature: Signature) throws {
        guard let key = self.keys.first(where: { $0.id == signature.keyID }) else {
            throw self.foreign(signature.keyID)
        }
        guard self.metadata.isValid(signature, by: key) else {
            throw CeremonyError(
                .wrongSignature,
                "the signature in the name of key \(key.id) is not that key's on this \(self.role): remove it from the file"
            )
        }
    }

    private func foreign(_ id: KeyID) -> CeremonyError {
        let keys = self.keys.prefix(16).map(\.id.text).joined(separator: ", ")
        return CeremonyError(
            .foreignKey,
            "key \(id.text.prefix(64)) is none of \(self.role)'s, which are \(keys)"
        )
    }
}
