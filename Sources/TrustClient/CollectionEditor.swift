// SPDX-License-Identifier: Apache-2.0

import Ceremony
import FoundationEssentials
import NotaryAPI
import TUF

/// A collection under change: what was read of it, with the changes made so far, until it is signed.
struct CollectionEditor {
    /// How long new metadata is in force, in days.
    static let rootDays = 3650
    static let targetsDays = 1095
    static let snapshotDays = 1095
    /// Metadata that ends sooner than this is signed again on the occasion of a publish, in days.
    static let renewalDays = 183

    let gun: GUN
    let now: Date

    /// The root as it is published, and as it is to be.
    let published: Verified<Root>
    private(set) var root: Root
    private(set) var isRootChanged = false
    /// Keys of roots before the published one, that sign the next one too: for who knows none but those.
    var formerRootKeys: [PublicKey] = []
    /// Roles that are to be signed and sent.
    private(set) var changed: Set<RoleName> = []

    private var view: LoadedCollection?
    private var targets: [RoleName: Targets] = [:]
    private var snapshot: Snapshot
    private var removed: [RoleName] = []
    private let isFirstPublish: Bool

    /// Takes a collection that was read just now.
    init(_ view: LoadedCollection, at now: Date) throws {
        guard let root = view.trusted.root, let snapshot = view.trusted.snapshot,
            let targets = view.trusted.targets[.targets]
        else { throw TUFError(.order, "the collection is not loaded") }
        self.gun = view.gun
        self.now = now
        self.published = root
        self.root = root.payload
        self.view = view
        self.snapshot = snapshot.payload
        self.targets[.targets] = targets.payload
        self.isFirstPublish = false
    }

    /// Takes a collection that was initialised here and never published.
    init(unpublished root: Verified<Root>, targets: Targets, snapshot: Snapshot, gun: GUN, at now: Date) {
        self.gun = gun
        self.now = now
        self.published = root
        self.root = root.payload
        self.snapshot = snapshot
        self.targets[.targets] = targets
        self.isFirstPublish = true
        self.changed = [.targets]
    }

    func expiry(days: Int) -> Expiry {
        Expiry(self.now.addingTimeInterval(Double(days) * 86400))
    }

    /// Whether something in force until then should be renewed now.
    func isNearExpiry(_ expires: Expiry) -> Bool {
        expires < self.expiry(days: Self.renewalDays)
    }

    private func invalid(_ message: String) -> TrustClientError {
        TrustClientError(.invalid, "\(self.gun): \(message)")
    }
}

// MARK: - Changes

extension CollectionEditor {
    /// Makes one change.
    /// - Throws: ``TrustClientError`` with code `invalid` for a change that cannot be made.
    mutating func apply(_ change: Change) async throws {
        switch change.subject {
        case .target: try await self.applyTarget(change)
        case .delegation where change.role == Change.allDelegations:
            try await self.purge(try change.delegation().removeKeys)
        case .delegation: try await self.applyDelegation(change)
        case .witness: try await self.witness(change.role)
        case .role: throw self.invalid("a staged change of root keys cannot be published; rotate the key instead")
        }
    }

    private mutating func applyTarget(_ change: Change) async throws {
        let role = change.role
        guard role.listsTargets else { throw self.invalid("\(role) does not list targets") }
        guard !change.path.isEmpty else { throw self.invalid("a target must have a name") }
        var targets = try await self.load(role)
        if change.action == .delete {
            guard targets.targets[change.path] != nil else { return }
            targets.targets[change.path] = nil
        } else {
            if let delegation = try await self.delegation(of: role), !delegation.covers(change.path) {
                let paths = delegation.paths.map { "\"\($0)\"" }.joined(separator: ", ")
                throw self.invalid(
                    "\(role) may not hold \(change.path): its paths are \(paths.isEmpty ? "none" : paths)"
                )
            }
            let file = try change.target()
            // As notary: what is signed already is not signed again, unless it is time to.
            guard targets.targets[change.path] != file || self.isNearExpiry(targets.expires) else { return }
            targets.targets[change.path] = file
        }
        self.targets[role] = targets
        self.changed.insert(role)
    }

    private mutating func applyDelegation(_ change: Change) async throws {
        let role: RoleName
        do {
            role = try RoleName(notaryDelegation: change.role.text)
        } catch {
            throw self.invalid("\(error)")
        }
        guard let parent = role.notaryParent else { throw self.invalid("\(role) is not a delegated role") }
        var delegator = try await self.load(parent)
        if change.action == .delete {
            guard delegator.delegations[role] != nil else { return }
            delegator.delegations.remove(role)
            self.forget(role)
        } else {
            guard change.action == .create || delegator.delegations[role] != nil else {
                throw self.invalid("\(role) is not delegated")
            }
            try delegator.delegations.change(
                role,
                try change.delegation(),
                keepsThreshold: change.action == .create
            )
        }
        self.targets[parent] = delegator
        self.changed.insert(parent)
    }

    /// Takes keys out of every delegation.
    private mutating func purge(_ ids: [KeyID]) async throws {
        var queue = [RoleName.targets]
        var next = 0
        while next < queue.count, next < WireFormat.delegationLimit {
            let role = queue[next]
            next += 1
            var targets = try await self.load(role)
            let before = targets.delegations
            for delegated in before.roles {
                try targets.delegations.change(delegated.name, DelegationChange(removeKeys: ids))
                if self.hasMetadata(delegated.name) { queue.append(delegated.name) }
            }
            guard targets.delegations != before else { continue }
            self.targets[role] = targets
            self.changed.insert(role)
        }
    }

    private func hasMetadata(_ role: RoleName) -> Bool {
        self.targets[role] != nil || (!self.removed.contains(role) && self.view?.trusted.listed(role) != nil)
    }

    private mutating func witness(_ role: RoleName) async throws {
        guard role.listsTargets else { throw self.invalid("\(role) cannot be witnessed: only targets roles can") }
        self.targets[role] = try await self.load(role, vouching: true)
        self.changed.insert(role)
    }

    /// Has a role signed again although nothing of it changes.
    mutating func renew(_ role: RoleName) async throws {
        self.targets[role] = try await self.load(role)
        self.changed.insert(role)
    }

    private mutating func forget(_ role: RoleName) {
        let below = role.text + "/"
        func isGone(_ name: RoleName) -> Bool { name == role || name.text.hasPrefix(below) }
        self.targets = self.targets.filter { !isGone($0.key) }
        self.changed = self.changed.filter { !isGone($0) }
        self.removed.append(role)
        for name in self.snapshot.meta.keys where isGone(RoleName(name)) { self.snapshot.meta[name] = nil }
    }

    /// The delegation of a role, cut down to what the roles above it may hold.
    private mutating func delegation(of role: RoleName) async throws -> DelegatedRole? {
        guard role.isDelegation, let parent = role.notaryParent else { return nil }
        guard let delegated = try await self.load(parent).delegations[role] else {
            throw self.invalid("\(role) is not delegated")
        }
        return delegated.restricted(to: try await self.delegation(of: parent))
    }

    /// The content of a role as it stands after the changes so far; empty for a delegated role that has no metadata yet.
    /// - Parameter vouching: take content that too few keys have signed as well, because somebody signs it now.
    private mutating func load(_ role: RoleName, vouching: Bool = false) async throws -> Targets {
        if let known = self.targets[role] { return known }
        guard role.isDelegation, let parent = role.notaryParent, role.text.utf8.count <= RoleName.notaryLimit else {
            throw self.invalid("\(role) is not a role of targets")
        }
        guard try await self.load(parent).delegations[role] != nil else {
            throw self.invalid("\(role) is not delegated")
        }
        let isNew = self.removed.contains(role) || self.view == nil
        if !isNew, let payload = try await self.view?.content(of: role, vouching: vouching) {
            self.targets[role] = payload
            return payload
        }
        // What another life of this role has left behind on the server still counts up.
        let version = try await self.view?.listedVersion(of: role) ?? 0
        return Targets(version: version, expires: self.expiry(days: Self.targetsDays))
    }
}

// MARK: - Keys

extension CollectionEditor {
    /// Names new keys for a top-level role. Certificates of old root keys stay listed, as in Notary; other old keys go.
    /// - Parameter threshold: how many of them must sign from now on; nil leaves it.
    mutating func replaceKeys(of role: RoleName, with keys: [PublicKey], threshold: Int64? = nil) throws {
        guard let old = self.root.roles[role] else { throw self.invalid("the root does not define \(role)") }
        let threshold = threshold ?? old.threshold
        let count = Set(try keys.map { try $0.canonicalID }).count
        guard threshold >= 1 else { throw self.invalid("\(role): a threshold must be 1 or more") }
        guard Int64(count) >= threshold else {
            throw self.invalid("\(role) needs \(threshold) keys, \(count) are given")
        }
        for key in keys { self.root.keys[key.id.text] = key }
        var seen: Set<KeyID> = []
        let ids = keys.map(\.id).filter { seen.insert($0).inserted }
        self.root.roles[role] = RoleDefinition(keyIDs: ids, threshold: threshold)
        if role == .root {
            // A certificate in another name would sign nothing that counts.
            let fit = try self.trust.keys(of: self.root).keys.count
            guard fit == ids.count else {
                throw self.invalid("\(ids.count - fit) of the root certificates are not in the name of \(self.gun)")
            }
        } else {
            let used = Set(self.root.roles.values.flatMap(\.keyIDs))
            for id in old.keyIDs where !used.contains(id) { self.root.keys[id.text] = nil }
        }
        self.isRootChanged = true
        if role == .targets { self.changed.insert(.targets) }
    }

    /// Has the root signed again although nothing of it changes.
    mutating func renewRoot() { self.isRootChanged = true }

    private var trust: RootTrust { RootTrust(gun: self.gun.text) }
}

// MARK: - Signing

extension CollectionEditor {
    /// Whether there is anything to sign.
    func isDue(_ ring: KeyRing) throws -> Bool {
        let keys = try self.root.keys(of: .snapshot)
        let isSnapshotDue = !ring.held(keys.keys).isEmpty && self.isNearExpiry(self.snapshot.expires)
        return self.isRootChanged || !self.changed.isEmpty || isSnapshotDue
    }

    /// The keys that have to sign what has changed. The snapshot is the server's, unless a key of it is here or it takes several.
    func requirements(_ ring: KeyRing) throws -> [RoleKeys] {
        var requirements: [RoleKeys] = []
        if self.isRootChanged {
            requirements.append(try self.trust.keys(of: self.root))
            if !self.isFirstPublish { requirements.append(try self.trust.keys(of: self.published.payload)) }
        }
        for role in self.changed.sorted() where self.targets[role] != nil {
            requirements.append(try self.keys(of: role))
        }
        let snapshot = try self.root.keys(of: .snapshot)
        if Self.isSnapshotOurs(snapshot, ring) { requirements.append(snapshot) }
        return requirements
    }

    static func isSnapshotOurs(_ keys: RoleKeys, _ ring: KeyRing) -> Bool {
        keys.threshold > 1 || !ring.held(keys.keys).isEmpty
    }

    /// Gives what has changed its next version.
    mutating func advance() throws {
        if self.isRootChanged {
            if !self.isFirstPublish { self.root.version = try self.successor(of: self.root.version, .root) }
            self.root.expires = self.expiry(days: Self.rootDays)
        }
        for role in self.changed {
            guard var targets = self.targets[role] else { continue }
            targets.version = try self.successor(of: targets.version, role)
            targets.expires = self.expiry(days: Self.targetsDays)
            self.targets[role] = targets
        }
    }

    /// What has changed, for others to sign as well: to be asked for after ``advance()``.
    func drafts() throws -> [SigningCeremony] {
        var pending: [RoleName: PendingMetadata] = [:]
        if self.isRootChanged { pending[.root] = try PendingMetadata(self.root, format: .notary) }
        for role in self.changed {
            if let targets = self.targets[role] { pending[role] = try PendingMetadata(targets, format: .notary) }
        }
        let authority = try CollectionAuthority(
            gun: self.gun,
            root: self.isFirstPublish && self.isRootChanged ? nil : self.published.payload,
            targets: self.targets,
            pending: pending
        )
        return try pending.sorted { $0.key < $1.key }.map { try authority.ceremony($0.value, $0.key) }
    }

    /// Signs what has changed, and the snapshot when its key is here, and makes the upload of it.
    /// - Returns: nothing when there is nothing to publish.
    /// - Throws: ``TrustClientError`` with code `noSigningKey`.
    mutating func sign(_ ring: inout KeyRing) async throws -> [MetadataUpload] {
        guard try self.isDue(ring) else { return [] }
        let required = try self.requirements(ring)
        if required.allSatisfy({ ring.meets($0) }) { try await ring.unlock(required) }
        try self.advance()
        var uploads: [MetadataUpload] = []
        var rootBytes = self.published.bytes
        if self.isRootChanged {
            var signers = try await ring.signers(for: self.root.keys(of: .root))
            let previous = try self.published.payload.keys(of: .root)
            let own = Set(signers.map(\.publicKey.id))
            if !self.isFirstPublish, previous.keys.contains(where: { !own.contains($0.id) }) {
                signers += try await ring.signers(for: previous).filter { !own.contains($0.publicKey.id) }
            }
            let signing = Set(signers.map(\.publicKey.id))
            let former = ring.held(self.formerRootKeys).filter { !signing.contains($0.id) }
            if !former.isEmpty {
                signers += try await ring.signers(for: RoleKeys(role: .root, keys: former, threshold: 1))
            }
            rootBytes = try await self.root.signed(by: signers, format: .notary).bytes
        }
        if self.isRootChanged || self.isFirstPublish { uploads.append(MetadataUpload(role: .root, bytes: rootBytes)) }

        for role in self.changed.sorted() {
            guard let targets = self.targets[role] else { continue }
            let signers = try await ring.signers(for: try self.keys(of: role))
            let bytes = try await targets.signed(by: signers, format: .notary).bytes
            uploads.append(MetadataUpload(role: role, bytes: bytes))
        }

        let snapshotKeys = try self.root.keys(of: .snapshot)
        if Self.isSnapshotOurs(snapshotKeys, ring) {
            try self.list([MetadataUpload(role: .root, bytes: rootBytes)] + uploads)
            let signers = try await ring.signers(for: snapshotKeys)
            let bytes = try await self.snapshot.signed(by: signers, format: .notary).bytes
            uploads.append(MetadataUpload(role: .snapshot, bytes: bytes))
        }
        return uploads
    }

    /// Makes the next snapshot list these files.
    private mutating func list(_ files: [MetadataUpload]) throws {
        for file in files { self.snapshot[file.role] = FileMetadata(of: file.bytes) }
        self.snapshot.version = try self.successor(of: self.snapshot.version, .snapshot)
        self.snapshot.expires = self.expiry(days: Self.snapshotDays)
    }

    private func keys(of role: RoleName) throws -> RoleKeys {
        guard role.isDelegation else { return try self.root.keys(of: role) }
        guard let parent = role.notaryParent, let delegator = self.targets[parent] else {
            throw self.invalid("\(role) is not delegated")
        }
        return try delegator.delegations.keys(of: role)
    }

    private func successor(of version: Int64, _ role: RoleName) throws -> Int64 {
        guard version >= 0, version < JSONValue.integerLimit else {
            throw self.invalid("\(role) has version \(version), after which there is none")
        }
        return version + 1
    }
}
