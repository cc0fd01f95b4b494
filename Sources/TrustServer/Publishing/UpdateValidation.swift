// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
import TUF

/// Checks an upload against the current state of its collection, in the order in which Notary's server does.
///
/// Nothing is stored here, and what is not yet checked is not used.
struct UpdateValidation {
    /// The highest version that fits the column of Notary's tables.
    static let versionLimit = Int64(Int32.max)
    /// The most roles of one snapshot.
    static let snapshotLimit = 10_000

    let gun: GUN
    let upload: Upload
    /// The state that the upload is checked against; nil when nothing is published.
    let head: CollectionHead?
    let collections: Collections
    let now: Date

    private(set) var root: Verified<Root>
    /// Every targets role that was uploaded, or is above one that was.
    private(set) var targets: [RoleName: (metadata: Verified<Targets>, keys: RoleKeys)] = [:]
    /// The uploaded snapshot, if there is one.
    private(set) var snapshot: Verified<Snapshot>?

    /// Checks everything.
    /// - Throws: ``NotaryError`` with code `invalidUpdate`, ``RefusedUpdate``, or what the database throws.
    init(_ upload: Upload, to gun: GUN, at head: CollectionHead?, in collections: Collections) async throws {
        self.gun = gun
        self.upload = upload
        self.head = head
        self.collections = collections
        self.now = collections.now()
        let stored: Verified<Root>?
        do {
            stored = try await collections.root(of: head)
        } catch let error as TUFError {
            throw NotaryError(.validation, "the stored root does not verify: \(error)")
        }
        self.root = try Self.root(
            upload,
            gun: gun,
            stored: stored,
            now: self.now,
            limit: collections.configuration.rootLimit
        )
        try await self.checkTargets()
        try await self.checkSnapshot()
    }

    /// The version that a first timestamp and snapshot are above: that of the timestamp which a collection had at another server, if its
    /// publisher sends that along. Nothing else of it is looked at.
    var versionFloor: Int64 {
        guard self.head == nil, let timestamp = self.upload.files[.timestamp], let version = timestamp.claimedVersion,
            (try? JSONParser.parse(timestamp.bytes)["signed"]?["_type"]?.string) == "Timestamp"
        else { return 0 }
        return (0...Self.versionLimit / 2).contains(version) ? version : 0
    }

    // MARK: Root

    private static func root(
        _ upload: Upload,
        gun: GUN,
        stored: Verified<Root>?,
        now: Date,
        limit: Int
    ) throws -> Verified<Root> {
        guard let candidate = upload.files[.root] else {
            guard let stored else {
                throw NotaryError(.validation, "no pre-existing root and no root provided in update.")
            }
            return stored
        }
        guard candidate.bytes.count <= limit else {
            throw NotaryError(.root, "the root has \(candidate.bytes.count) bytes, more than \(limit)")
        }
        // The first one here may be of any version: a collection that comes from another server has a history there, which those who know
        // it go on from.
        let current = stored?.payload.version ?? candidate.claimedVersion ?? 1
        guard let version = candidate.claimedVersion, version == current || version == current + 1 else {
            let claimed = candidate.claimedVersion.map { "\($0)" } ?? "none"
            throw NotaryError(.root, "the root must have version \(current) or \(current + 1), not \(claimed)")
        }
        do {
            let root = try RootTrust(gun: gun.text).verify(candidate, after: stored?.payload, at: now)
            try root.requireCurrent(at: Expiry(now), role: .root)
            try Self.checkVersion(version, .root)
            return root
        } catch let error as TUFError {
            throw RefusedUpdate(.root, error)
        }
    }

    // MARK: Targets

    private mutating func checkTargets() async throws {
        do {
            for role in self.upload.targetsRoles {
                try await self.loadAncestors(of: role)
                try self.checkUploaded(role)
            }
            // A new root may name other keys for what stays: that must not become unreadable.
            if self.upload.files[.root] != nil, self.targets[.targets] == nil {
                try await self.load(.targets)
            }
        } catch let error as TUFError {
            throw RefusedUpdate(.targets, error)
        }
        guard self.targets[.targets] != nil || self.head?.sha256(of: .targets) != nil else {
            throw NotaryError(.hierarchy, "a first update must have targets", missing: RoleName.targets.text)
        }
    }

    private mutating func checkUploaded(_ role: RoleName) throws {
        guard let candidate = self.upload.files[role] else { return }
        let keys = try self.keys(of: role)
        let metadata = try candidate.verified(as: Targets.self, by: keys)
        try Self.checkVersion(metadata.payload.version, role)
        try metadata.requireCurrent(at: Expiry(self.now), role: role)
        for delegated in metadata.payload.delegations.roles where delegated.name.notaryParent != role {
            throw TUFError(.invalid, role: role, "\(role) cannot delegate to \(delegated.name), not directly below it")
        }
        self.targets[role] = (metadata, keys)
    }

    /// Takes the roles above one from the upload, where they were checked before, or else from the store.
    private mutating func loadAncestors(of role: RoleName) async throws {
        var ancestors: [RoleName] = []
        var parent = role.notaryParent
        while let role = parent {
            ancestors.append(role)
            parent = role.notaryParent
        }
        for ancestor in ancestors.reversed() where self.targets[ancestor] == nil { try await self.load(ancestor) }
    }

    /// Takes a role from the store, whether or not it has expired; leaves it out when it is not there.
    private mutating func load(_ role: RoleName) async throws {
        let keys = try self.keys(of: role)
        guard let stored = try await self.collections.targets(role, of: self.head, by: keys) else { return }
        self.targets[role] = (stored, keys)
    }

    private func keys(of role: RoleName) throws -> RoleKeys {
        guard let parent = role.notaryParent else { return try self.root.payload.keys(of: role) }
        guard let delegator = self.targets[parent]?.metadata.payload, delegator.delegations[role] != nil else {
            throw TUFError(.notDelegated, role: role, "tuf: invalid role \(role). delegation does not exist")
        }
        return try delegator.delegations.keys(of: role)
    }

    // MARK: Snapshot

    private mutating func checkSnapshot() async throws {
        guard let candidate = self.upload.files[.snapshot] else { return }
        do {
            let snapshot = try candidate.verified(
                as: Snapshot.self,
                by: try self.root.payload.keys(of: .snapshot)
            )
            try Self.checkVersion(snapshot.payload.version, .snapshot)
            try snapshot.requireCurrent(at: Expiry(self.now), role: .snapshot)
            try Self.check(.root, self.root.bytes, in: snapshot.payload)
            for (role, loaded) in self.targets { try Self.check(role, loaded.metadata.bytes, in: snapshot.payload) }
            try await self.checkOthers(in: snapshot.payload)
            self.snapshot = snapshot
        } catch let error as TUFError {
            throw RefusedUpdate(.snapshot, error)
        }
    }

    private static func check(_ role: RoleName, _ bytes: [UInt8], in snapshot: Snapshot) throws {
        guard let listed = snapshot[role] else {
            throw TUFError(.invalid, role: .snapshot, "the snapshot does not list \(role)")
        }
        let actual = FileMetadata(of: bytes)
        for (algorithm, digest) in actual.hashes?.digests ?? [:] {
            guard let expected = listed.hashes?.digests[algorithm], expected != digest else { continue }
            throw TUFError(
                .mismatch,
                role: .snapshot,
                "\(algorithm) checksum for \(role) did not match: expected \(Hexadecimal.encode(expected.prefix(64)))"
            )
        }
        guard listed.length == actual.length else {
            throw TUFError(
                .mismatch,
                role: .snapshot,
                "the length of \(role) is \(bytes.count), the snapshot has \(listed.length ?? 0)"
            )
        }
    }

    /// What the snapshot lists beyond what was uploaded must be as it was, or be stored: else clients could not fetch it.
    private func checkOthers(in snapshot: Snapshot) async throws {
        guard snapshot.meta.count <= Self.snapshotLimit else {
            throw TUFError(.tooLarge, role: .snapshot, "the snapshot lists more than \(Self.snapshotLimit) roles")
        }
        var others: [(role: RoleName, sha256: String)] = []
        for (name, listed) in snapshot.meta {
            let role = RoleName(name)
            if role == .root || self.targets[role] != nil || self.head?.snapshotPayload?[role] == listed { continue }
            others.append((role, Hexadecimal.encode(listed.hashes?.sha256 ?? [])))
        }
        if let missing = try await self.collections.store.firstMissing(of: others, in: self.gun) {
            throw TUFError(
                .mismatch,
                role: .snapshot,
                "the snapshot lists \(String(missing.text.unicodeScalars.prefix(255))) with a checksum that was never published"
            )
        }
    }

    private static func checkVersion(_ version: Int64, _ role: RoleName) throws {
        guard version <= Self.versionLimit else {
            throw TUFError(.invalid, role: role, "version \(version) of \(role) is above \(Self.versionLimit)")
        }
    }
}
