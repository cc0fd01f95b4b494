// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
import TUF
import Updater

/// One update of one collection: feeds the verification workflow from cache and server.
struct CollectionUpdate: Sendable {
    let client: CollectionClient
    private(set) var trusted: TrustedCollection
    private(set) var warnings: [CollectionWarning] = []
    private(set) var firstUse: FirstUse?
    /// Why the server could not be asked; nil when it was.
    private(set) var offline: TrustClientError?

    /// What was cached when the update began: what another process adds meanwhile may be newer than what this one was told, and
    /// is no floor for it.
    private var cachedFiles: [RoleName: [UInt8]] = [:]

    /// The SHA-256 of the root that a well-signed snapshot lists in place of the trusted one.
    private var listedRoot: String?

    init(_ client: CollectionClient) {
        self.client = client
        let now = client.ignoresExpiry ? .distantPast : client.now()
        self.trusted = TrustedCollection(trust: client.trust, format: .notary, at: now)
    }

    mutating func warn(_ warning: CollectionWarning) {
        if !self.warnings.contains(warning) { self.warnings.append(warning) }
    }

    /// Root, timestamp, snapshot and targets.
    mutating func run() async throws {
        for role in [RoleName.timestamp, .snapshot, .targets] {
            self.cachedFiles[role] = try await self.client.cache.read(role, of: self.client.gun)
        }
        try await self.loadRoot()
        do {
            try await self.loadBelowRoot()
        } catch let error as TUFError {
            // A newer root may name other keys, or be the one that the snapshot lists.
            guard try await self.refreshRoot() else { throw error }
            try await self.loadBelowRoot()
        }
        try await self.checkKnownRoot()
        try await self.keep()
    }

    // MARK: Fetching

    func fetch(_ role: RoleName, _ reference: MetadataReference, limit: Int) async throws -> [UInt8] {
        try await self.client.transport.fetch(role, reference, of: self.client.gun, limit: limit)
    }

    /// Metadata that trusted metadata lists, by its hash.
    private func fetchListed(_ role: RoleName, _ listed: FileMetadata) async throws -> [UInt8] {
        guard let sha256 = listed.hashes?.sha256 else {
            throw TUFError(.invalid, role: role, "is listed without its sha256")
        }
        let limit = Int(clamping: min(listed.length ?? .max, Int64(WireFormat.metadataLimit)))
        let hash = Hexadecimal.encode(sha256)
        do {
            return try await self.fetch(role, .sha256(hash), limit: limit)
        } catch let error as TrustClientError where error.code == .noTrustData {
            throw TrustClientError(
                .rollback,
                "\(self.client.gun): the server does not have the metadata of \(role) that its own snapshot or timestamp "
                    + "lists (sha256 \(hash)); try again, and if it stays so ask who runs the server"
            )
        }
    }

    private func cached(_ role: RoleName) async throws -> [UInt8]? {
        guard role == .root || role.isDelegation else { return self.cachedFiles[role] }
        return try await self.client.cache.read(role, of: self.client.gun)
    }
}

// MARK: - Root

extension CollectionUpdate {
    private mutating func loadRoot() async throws {
        if let bytes = try await self.cached(.root) {
            do {
                try self.trusted.rememberRoot(bytes)
            } catch let error as TUFError {
                let path = self.client.cache.path(of: .root, in: self.client.gun)
                throw TrustClientError(
                    .storage,
                    "\(path) is damaged or not a root (\(error)). Put it back from a backup; or, to start over and trust the "
                        + "root that the server has now, remove the file",
                    refusal: error
                )
            }
            return
        }
        let newest: [UInt8]
        do {
            newest = try await self.fetch(.root, .current, limit: WireFormat.rootLimit)
        } catch let error as TrustClientError where error.code == .noTrustData {
            throw TrustClientError(.noTrustData, "the trust server has no trust data for \(self.client.gun)")
        }
        if self.client.pins.isEmpty {
            try self.takeFirst([newest])
        } else {
            try await self.takePinnedRoot(newest)
        }
        let keys = self.trusted.root?.payload.roles[.root]?.keyIDs ?? []
        self.firstUse = FirstUse(rootKeyIDs: keys, isPinned: !self.client.pins.isEmpty)
    }

    /// Begins anew, under rules that say which first root will do.
    mutating func startOver(_ trust: RootTrust) {
        self.trusted = TrustedCollection(trust: trust, format: .notary, at: self.trusted.now)
    }

    /// Trusts roots, each vouched for by the one before it.
    mutating func takeFirst(_ roots: [[UInt8]]) throws {
        for root in roots { try self.trusted.updateRoot(root) }
    }

    /// Follows the chain of roots to the newest one.
    /// - Returns: false when there is no newer one, or none to be had.
    private mutating func refreshRoot() async throws -> Bool {
        guard let known = self.trusted.root, let newest = await self.fetchNewestRoot(), newest != known.bytes else {
            return false
        }
        let version = try UnverifiedMetadata(newest, format: .notary).claimedVersion ?? 0
        guard version > known.payload.version else { return false }
        do {
            try await self.takeRoot(newest)
        } catch let error as TUFError where error.code == .rootRotation && version - 1 > known.payload.version {
            try await self.walkRoots(from: known.payload.version, to: version)
            try await self.takeRoot(newest)
        }
        return true
    }

    /// By hash where a snapshot lists it, past any cache on the way. A server that cannot be asked leaves things as they are.
    private func fetchNewestRoot() async -> [UInt8]? {
        if let hash = self.listedRoot,
            let bytes = try? await self.fetch(.root, .sha256(hash), limit: WireFormat.rootLimit)
        {
            return bytes
        }
        return try? await self.fetch(.root, .current, limit: WireFormat.rootLimit)
    }

    /// Takes every root between two versions, each vouched for by the one before it.
    private mutating func walkRoots(from known: Int64, to newest: Int64) async throws {
        guard newest - known <= WireFormat.rotationLimit else {
            throw TUFError(
                .tooLarge,
                role: .root,
                "version \(newest) is more than \(WireFormat.rotationLimit) rotations after the trusted version \(known)"
            )
        }
        for version in (known + 1)..<newest {
            let bytes: [UInt8]
            do {
                bytes = try await self.fetch(.root, .version(version), limit: WireFormat.rootLimit)
            } catch let error as TrustClientError where error.code == .noTrustData {
                throw TUFError(
                    .rootRotation,
                    role: .root,
                    "the trusted version \(known) does not vouch for version \(newest), and the server does not have "
                        + "version \(version), which would have to lead there"
                )
            }
            guard try UnverifiedMetadata(bytes, format: .notary).claimedVersion == version else {
                throw TUFError(.mismatch, role: .root, "asked for version \(version), the server sent another")
            }
            try await self.takeRoot(bytes)
        }
    }

    /// Trusts a newer root and keeps it at once: however the update ends, this step need not be made again.
    private mutating func takeRoot(_ bytes: [UInt8]) async throws {
        var next = self.trusted
        try next.updateRoot(bytes)
        // What was signed with the old keys must not bind any longer, or who stole them could lock us out for ever.
        let forgotten = RoleName.topLevel.filter { next.isForgotten($0) && $0 != .root }
        try await self.forget(forgotten, withDelegations: next.rotatedRoles.contains(.snapshot))
        for role in forgotten { self.cachedFiles[role] = nil }
        try await self.keep([MetadataUpload(role: .root, bytes: bytes)], next)
        self.trusted = next
    }
}

// MARK: - Timestamp, snapshot and targets

extension CollectionUpdate {
    private mutating func loadBelowRoot() async throws {
        try await self.loadTimestamp()
        try await self.loadSnapshot()
        try await self.loadTargets(.targets)
    }

    private mutating func loadTimestamp() async throws {
        let cached = try await self.cached(.timestamp)
        if let cached { self.trusted.rememberTimestamp(cached) }
        let bytes: [UInt8]
        do {
            bytes = try await self.fetch(.timestamp, .current, limit: WireFormat.timestampLimit)
        } catch let error as TrustClientError where error.code == .unreachable || error.code == .noTrustData {
            return try await self.fallBack(to: cached, because: error)
        }
        self.offline = nil
        try self.trusted.updateTimestamp(bytes)
    }

    /// Goes on with the cached timestamp while it is in force. It says what was current when it was signed, no more.
    private mutating func fallBack(to cached: [UInt8]?, because error: TrustClientError) async throws {
        guard let cached else {
            guard error.code == .noTrustData else { throw error }
            throw TrustClientError(
                .noTrustData,
                "the trust server has no trust data for \(self.client.gun); it may have been initialised here and not yet "
                    + "published"
            )
        }
        do {
            try self.trusted.updateTimestamp(cached)
        } catch let refusal as TUFError where refusal.code == .expired {
            throw TrustClientError(
                .expired,
                "\(self.client.gun): \(refusal), and nothing newer is to be had: \(error.message)",
                refusal: refusal
            )
        } catch is TUFError {
            // A damaged or foreign file is no help: what matters is that the server did not answer.
            throw error
        }
        try await self.requireConfirmed(because: error)
        self.offline = error
        if let timestamp = self.trusted.timestamp {
            self.warn(.offline(reason: error.message, timestampExpires: timestamp.payload.expires))
        }
    }

    /// Refuses what the server has not confirmed for longer than the settings allow.
    private func requireConfirmed(because error: TrustClientError) async throws {
        guard let limit = self.client.maximumAge, !self.client.ignoresExpiry else { return }
        let confirmed = try await self.client.cache.confirmedAt(self.client.gun)
        let age = confirmed.map { self.client.now().timeIntervalSince($0) }
        // What was noted while the clock was wrong must not count for ever.
        guard let age, age <= limit, age >= -3600 else {
            let since = confirmed.map { " since \(Expiry($0))" } ?? ""
            throw TrustClientError(
                .expired,
                "\(self.client.gun): the trust server has not confirmed what is cached\(since), which is longer than max_age "
                    + "allows (\(Int64(limit)) s): \(error.message)"
            )
        }
    }

    private mutating func loadSnapshot() async throws {
        let cached = try await self.cached(.snapshot)
        if let cached { self.trusted.rememberSnapshot(cached) }
        let (client, before) = (self, self.trusted)
        do {
            try await self.trusted.load(.snapshot, cached: cached) {
                try await client.fetchListed(.snapshot, $0)
            } take: { trusted, bytes in
                do {
                    try trusted.updateSnapshot(bytes)
                } catch let error as TUFError where error.role == .root {
                    throw RootRefusal(error: error, listed: client.rootListed(by: bytes, in: before))
                }
            }
        } catch let refusal as RootRefusal {
            self.listedRoot = refusal.listed
            throw refusal.error
        }
    }

    /// A snapshot that goes with another root than the trusted one.
    private struct RootRefusal: Error {
        let error: TUFError
        /// The SHA-256 of that root.
        let listed: String?
    }

    private func rootListed(by snapshot: [UInt8], in trusted: TrustedCollection) -> String? {
        guard let keys = try? trusted.keys(of: .snapshot),
            let verified: Verified<Snapshot> = try? UnverifiedMetadata(snapshot, format: .notary).verified(by: keys)
        else { return nil }
        return verified.payload[.root]?.hashes?.sha256.map { Hexadecimal.encode($0) }
    }

    /// Loads a targets role whose delegator is trusted, once.
    mutating func loadTargets(_ role: RoleName) async throws {
        guard self.trusted.targets[role] == nil else { return }
        let cached = try await self.cached(role)
        if let cached { self.trusted.rememberTargets(role, cached) }
        let (client, forgotten) = (self, self.trusted.rotatedRoles)
        let (bytes, _) = try await self.trusted.load(role, cached: cached) {
            try await client.fetchListed(role, $0)
        } take: { trusted, bytes in
            try trusted.updateTargets(role, bytes)
        }
        let rotated = self.trusted.rotatedRoles.subtracting(forgotten)
        if !rotated.isEmpty { try await self.forget(rotated.sorted()) }
        if role.isDelegation { try await self.keep([MetadataUpload(role: role, bytes: bytes)], self.trusted) }
    }

    /// Metadata of a role exactly as the snapshot lists it, whoever has signed it; nil when none is listed.
    func listedBytes(of role: RoleName) async throws -> [UInt8]? {
        guard let listed = self.trusted.listed(role) else { return nil }
        if let cached = try await self.cached(role),
            (try? listed.verify(cached, role: role, format: self.trusted.format)) != nil
        {
            return cached
        }
        return try await self.fetchListed(role, listed)
    }

    private func forget(_ roles: [RoleName], withDelegations: Bool = false) async throws {
        guard !self.client.ignoresExpiry else { return }
        try await self.client.cache.remove(roles, of: self.client.gun, withDelegations: withDelegations)
    }

    /// Keeps what was verified together.
    private func keep() async throws {
        if self.firstUse != nil, let root = self.trusted.root { try await self.keepFirst(root) }
        var files: [MetadataUpload] = []
        if let targets = self.trusted.targets[.targets] {
            files.append(MetadataUpload(role: .targets, bytes: targets.bytes))
        }
        if let snapshot = self.trusted.snapshot {
            files.append(MetadataUpload(role: .snapshot, bytes: snapshot.bytes))
        }
        if let timestamp = self.trusted.timestamp {
            files.append(MetadataUpload(role: .timestamp, bytes: timestamp.bytes))
        }
        try await self.keep(files, self.trusted)
        if self.offline == nil, !self.client.ignoresExpiry, self.client.maximumAge != nil {
            try await self.client.cache.confirm(self.client.gun, at: self.client.now())
        }
    }

    /// Keeps a root that was trusted because it came first, unless another process has had its first use meanwhile: of two
    /// roots the one that was there before stays, and who has the other one is told.
    private func keepFirst(_ root: Verified<Root>) async throws {
        guard !self.client.ignoresExpiry else { return }
        let (cache, gun, trust) = (self.client.cache, self.client.gun, self.client.trust)
        try await cache.write([MetadataUpload(role: .root, bytes: root.bytes)], of: gun) { _, present, _ in
            guard let present = try? UnverifiedMetadata(present, format: .notary) else { return false }
            return (try? trust.verifyStored(present)) != nil
        }
        guard try await cache.read(.root, of: gun) == root.bytes else {
            throw TrustClientError(
                .storage,
                "\(gun): while this ran, another process has begun to trust another root of it than the server sent here "
                    + "(\(cache.path(of: .root, in: gun))). Try again: what that root does not vouch for will be refused"
            )
        }
    }

    private func keep(_ files: [MetadataUpload], _ trusted: TrustedCollection) async throws {
        guard !self.client.ignoresExpiry else { return }
        try await self.client.cache.write(files, of: self.client.gun) { role, present, offered in
            Self.isNewer(present, than: offered, role, trusted)
        }
    }

    /// Whether a file on disk is one that another process has verified since, and newer. Only what the same keys signed counts.
    private static func isNewer(
        _ present: [UInt8],
        than offered: [UInt8],
        _ role: RoleName,
        _ trusted: TrustedCollection
    ) -> Bool {
        guard role == .root else {
            guard let keys = try? trusted.keys(of: role) else { return false }
            return TrustedCollection.isNewer(present, than: offered, by: keys, format: trusted.format)
        }
        guard let present = try? UnverifiedMetadata(present, format: trusted.format),
            let offered = try? UnverifiedMetadata(offered, format: trusted.format),
            let version = present.claimedVersion, let offeredVersion = offered.claimedVersion, version > offeredVersion
        else { return false }
        return (try? trusted.trust.verifyStored(present)) != nil
    }
}
