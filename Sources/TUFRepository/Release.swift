// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Crypto
import TUF

/// The metadata that goes into one publish, in the order in which it is made: what comes later lists what came before as it was
/// signed.
struct Release: Sendable {
    /// A new root and roles that list targets.
    var roles: [SigningCeremony] = []
    var snapshot: SigningCeremony?
    var timestamp: SigningCeremony?

    var root: SigningCeremony? { self.roles.first { $0.role == .root } }
    var targets: [SigningCeremony] { self.roles.filter { $0.role != .root } }
    var all: [SigningCeremony] { self.roles + [self.snapshot, self.timestamp].compactMap { $0 } }
    var isEmpty: Bool { self.all.isEmpty }

    /// What is made of a role; nil when it stays as it is.
    func bytes(of role: RoleName) -> [UInt8]? { self.all.first { $0.role == role }?.metadata.bytes }
}

extension WorkingCopy {
    /// Whether the root is to be another than the published one.
    var rootChanges: Bool {
        guard let root = self.root else { return false }
        guard let published = self.publishedRoot?.payload else { return true }
        return root.keys != published.keys || root.roles != published.roles
            || root.consistentSnapshot != published.consistentSnapshot || self.renewed.contains(.root)
    }

    /// The root and the roles that list targets, as far as they have to be signed anew.
    mutating func changedRoles() throws -> [SigningCeremony] {
        var ceremonies: [SigningCeremony] = []
        if self.rootChanges, var root = self.root {
            root.version = self.nextVersion(.root)
            root.expires = self.expiry(.root)
            self.root = root
            ceremonies.append(try self.ceremony(of: root, .root))
        }
        try self.renewWhatNewKeysRefuse()
        for role in self.renewed where self.edited[role] == nil && role.listsTargets {
            self.edited[role] = try self.targets(role)
        }
        for (role, targets) in self.edited.sorted(by: { $0.key < $1.key }) {
            var targets = targets
            targets.version = self.nextVersion(role)
            targets.expires = self.expiry(role)
            self.edited[role] = targets
            ceremonies.append(try self.ceremony(of: targets, role))
        }
        return ceremonies
    }

    /// Marks the roles whose published metadata the keys that they are to have did not sign.
    private mutating func renewWhatNewKeysRefuse() throws {
        if self.rootChanges, try self.published(.targets).map({ try !self.isSigned($0, as: .targets) }) ?? false {
            self.renewed.insert(.targets)
        }
        for delegator in self.edited.keys.sorted() {
            guard let new = self.edited[delegator]?.delegations,
                let old = try self.published(delegator)?.payload.delegations, new != old
            else { continue }
            let before = Self.table(old)
            for (role, keys) in Self.table(new) where before[role] != keys && self.edited[role] == nil {
                guard let published = try self.published(role) else { continue }
                let isSigned = (try? keys.verify(try UnverifiedMetadata(published.bytes, format: .tuf))) != nil
                if !isSigned { self.renewed.insert(role) }
            }
        }
    }

    /// The keys of all roles that are delegated to.
    static func table(_ delegations: Delegations) -> [RoleName: RoleKeys] {
        func keys(_ role: RoleName, _ definition: RoleDefinition) -> RoleKeys {
            RoleKeys(
                role: role,
                keys: definition.keyIDs.sorted().compactMap { delegations.keys[$0.text] },
                threshold: Int(clamping: definition.threshold)
            )
        }
        guard let succinct = delegations.succinctRoles else {
            return Dictionary(delegations.roles.map { ($0.name, keys($0.name, $0.definition)) }) { first, _ in first }
        }
        let names = self.names(in: delegations)
        return Dictionary(names.map { ($0, keys($0, succinct.definition)) }) { first, _ in first }
    }

    private mutating func isSigned<Content>(_ metadata: Verified<Content>, as role: RoleName) throws -> Bool {
        let keys = try self.keys(of: role).keys
        return (try? keys.verify(try UnverifiedMetadata(metadata.bytes, format: .tuf))) != nil
    }

    /// The snapshot of what the release changes; nil when the published one goes on.
    mutating func changedSnapshot(after release: Release) throws -> SigningCeremony? {
        let targets = release.targets
        let isStale =
            try self.snapshot.map { try self.isDue(.snapshot, $0.payload.expires) || !self.isSigned($0, as: .snapshot) }
            ?? true
        guard !targets.isEmpty || isStale || self.renewed.contains(.snapshot) else { return nil }
        var meta = self.snapshot?.payload.meta ?? [:]
        for ceremony in targets {
            // Thousands of bins do not each carry a hash that every reader would have to fetch.
            meta[ceremony.role.text] =
                try self.isBin(ceremony.role)
                ? FileMetadata(version: ceremony.metadata.version)
                : Self.listing(ceremony.metadata.bytes, version: ceremony.metadata.version)
        }
        let snapshot = Snapshot(version: self.nextVersion(.snapshot), expires: self.expiry(.snapshot), meta: meta)
        return try self.ceremony(of: snapshot, .snapshot)
    }

    /// The timestamp of a release; nil when the published one goes on.
    mutating func changedTimestamp(after release: Release) throws -> SigningCeremony? {
        let isStale =
            try self.timestamp.map {
                try self.isDue(.timestamp, $0.payload.expires) || !self.isSigned($0, as: .timestamp)
            }
            ?? true
        guard release.snapshot != nil || isStale || self.renewed.contains(.timestamp) else { return nil }
        let bytes = release.snapshot?.metadata.bytes ?? self.snapshot?.bytes
        let version = release.snapshot?.metadata.version ?? self.snapshot?.payload.version
        guard let bytes, let version else { throw RepositoryError(.incomplete, "there is no snapshot yet") }
        let timestamp = Timestamp(
            version: self.nextVersion(.timestamp),
            expires: self.expiry(.timestamp),
            snapshot: Self.listing(bytes, version: version)
        )
        return try self.ceremony(of: timestamp, .timestamp)
    }

    private static func listing(_ bytes: [UInt8], version: Int64?) -> FileMetadata {
        FileMetadata(
            version: version,
            length: Int64(bytes.count),
            hashes: Hashes(sha256: Array(SHA256.hash(data: bytes)))
        )
    }

    private mutating func ceremony(of payload: some Payload, _ role: RoleName) throws -> SigningCeremony {
        try self.ceremony(try PendingMetadata(payload, format: .tuf), role)
    }

    /// Who has to sign metadata of a role.
    mutating func ceremony(_ metadata: PendingMetadata, _ role: RoleName) throws -> SigningCeremony {
        if role == .root { return try .root(metadata, after: self.publishedRoot?.payload) }
        let (authority, keys) = try self.keys(of: role)
        let name = authority == .root ? "root \(self.root?.version ?? 0)" : authority.text
        // Readers of the old root go on reading if its keys sign too: the rotation has no gap.
        let before =
            self.rootChanges && !role.isDelegation ? try self.publishedRoot?.payload.keys(of: role).keys ?? [] : []
        return try SigningCeremony(
            metadata,
            role: role,
            requirements: [SigningCeremony.Requirement(authority: name, keys: keys)],
            alsoAllowed: before
        )
    }
}
