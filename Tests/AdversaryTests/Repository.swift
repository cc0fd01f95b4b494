// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import NotaryAPI
import Synchronization
import TUF

/// A time that tests move.
final class TestClock: Sendable {
    private let date = Mutex(Date(timeIntervalSince1970: 1_900_000_000))

    var now: Date { self.date.withLock { $0 } }
    func advance(days: Double) { self.date.withLock { $0 += days * 86400 } }
    func expiry(days: Double) -> Expiry { Expiry(self.now.addingTimeInterval(days * 86400)) }
}

/// The place where an owner's work is published: it signs snapshot and timestamp itself.
protocol Host: AnyObject {
    /// Whether snapshot and timestamp say more of metadata than its version.
    var listsHashes: Bool { get }

    /// A new key for snapshot or timestamp, which the host holds. It is used once a root names it.
    func makeKey(for role: RoleName) async throws -> any SigningKey

    /// Publishes metadata, with a snapshot and a timestamp that lead to it.
    func publish(_ files: [RoleName: [UInt8]], online: [RoleName: [any SigningKey]]) async throws

    /// Signs the timestamp again before it ends.
    func renew(online: [RoleName: [any SigningKey]]) async throws

    /// Has content at hand under a target's path.
    func put(_ content: [UInt8], at path: String) throws

    /// What is current of a role.
    func current(_ role: RoleName) async throws -> [UInt8]
}

/// An honest repository or collection: its owner holds all keys in memory, and so can have them stolen.
final class Repository {
    struct Delegate {
        var payload: Targets
        var keys: [any SigningKey]
    }

    let format: WireFormat
    let clock: TestClock
    let host: any Host
    /// The collection's name, in its root certificates.
    let gun: String

    private(set) var keys: [RoleName: [any SigningKey]] = [:]
    private var thresholds: [RoleName: Int64] = [:]
    private var rootVersion: Int64 = 0
    /// The last root, to be shipped with clients.
    private(set) var root: [UInt8] = []
    var rootDays: Double = 3650
    private(set) var targets: Targets
    private(set) var delegated: [RoleName: Delegate] = [:]
    private var changed: Set<RoleName> = [.root, .targets]

    init(_ format: WireFormat, gun: String, host: any Host, clock: TestClock) {
        self.format = format
        self.gun = gun
        self.host = host
        self.clock = clock
        self.targets = Targets(version: 0, expires: clock.expiry(days: 1095))
    }

    /// Makes keys and the first root; ``publish()`` brings it out.
    /// - Parameter thresholds: the roles that have as many keys as must sign; others have one.
    func begin(thresholds: [RoleName: Int64]) async throws {
        self.thresholds = thresholds
        for role in [RoleName.root, .targets] {
            self.keys[role] = []
            for _ in 0..<(thresholds[role] ?? 1) { self.keys[role]?.append(try await self.makeKey(for: role)) }
        }
        for role in [RoleName.snapshot, .timestamp] { self.keys[role] = [try await self.host.makeKey(for: role)] }
        try await self.signRoot(alsoBy: [])
    }

    /// A key that the owner holds.
    func makeKey(for role: RoleName) async throws -> any SigningKey {
        let key = try await PrivateKey.generate(.p256)
        guard role == .root, self.format == .notary else { return key }
        let certificate = try PublicKey.rootCertificate(
            for: self.gun,
            signedBy: key.certificateKey,
            at: self.clock.now
        )
        return try ListedPrivateKey(key, as: certificate)
    }

    private func ids(_ keys: [any SigningKey]) throws -> [KeyID] {
        try keys.map { try $0.publicKey.spelled(in: self.format).id }
    }

    private func signRoot(alsoBy more: [any SigningKey]) async throws {
        self.rootVersion += 1
        let root = try self.rootPayload(self.keys)
        self.root = try await self.sign(root, with: (self.keys[.root] ?? []) + more)
    }

    /// A root of the present version that names these keys.
    func rootPayload(_ keys: [RoleName: [any SigningKey]]) throws -> Root {
        var roles: [RoleName: RoleDefinition] = [:]
        for (role, keys) in keys {
            roles[role] = RoleDefinition(keyIDs: try self.ids(keys), threshold: self.thresholds[role] ?? 1)
        }
        var root = Root(
            version: self.rootVersion,
            expires: self.clock.expiry(days: self.rootDays),
            keys: try keys.values.flatMap { $0 }.map { try $0.publicKey.spelled(in: self.format) },
            roles: roles
        )
        root.consistentSnapshot = self.format == .tuf
        return root
    }
}

// MARK: - The owner's work

extension Repository {
    /// The name of a role that `targets` delegates to.
    func role(_ name: String) -> RoleName { RoleName(self.format == .notary ? "targets/\(name)" : name) }

    /// Sets a target of a role; the next ``publish()`` brings it out.
    func set(_ path: String, _ content: String, in role: RoleName = .targets) throws {
        let bytes = Array(content.utf8)
        self.edit(role) { $0.targets[path] = .content(content) }
        try self.host.put(bytes, at: path)
    }

    /// Delegates what begins with a prefix to a role with a key of its own.
    func delegate(
        _ prefix: String,
        to role: RoleName,
        from delegator: RoleName = .targets,
        keys: [any SigningKey]
    ) throws {
        let delegation = DelegatedRole(
            name: role,
            definition: RoleDefinition(keyIDs: try self.ids(keys)),
            paths: [self.format == .notary ? prefix : prefix + "*"],
            matching: self.format == .notary ? .prefixes : .patterns
        )
        let publicKeys = try keys.map { try $0.publicKey.spelled(in: self.format) }
        self.edit(delegator) {
            $0.delegations.roles.removeAll { $0.name == role }
            $0.delegations.roles.append(delegation)
            for key in publicKeys { $0.delegations.keys[key.id.text] = key }
        }
        let payload = self.delegated[role]?.payload ?? Targets(version: 0, expires: self.clock.expiry(days: 1095))
        self.delegated[role] = Delegate(payload: payload, keys: keys)
        self.changed.insert(role)
    }

    /// Has a delegated role signed by other keys from now on, whatever its delegators say.
    func sign(_ role: RoleName, with keys: [any SigningKey]) {
        self.delegated[role]?.keys = keys
        self.changed.insert(role)
    }

    private func edit(_ role: RoleName, _ change: (inout Targets) -> Void) {
        if role == .targets {
            change(&self.targets)
        } else if var delegate = self.delegated[role] {
            change(&delegate.payload)
            self.delegated[role] = delegate
        }
        self.changed.insert(role)
    }

    /// Brings out what has changed.
    func publish() async throws {
        var files: [RoleName: [UInt8]] = [:]
        if self.changed.contains(.targets) {
            self.targets.version += 1
            files[.targets] = try await self.sign(self.targets, with: self.keys[.targets] ?? [])
        }
        for (role, var delegate) in self.delegated where self.changed.contains(role) {
            delegate.payload.version += 1
            self.delegated[role] = delegate
            files[role] = try await self.sign(delegate.payload, with: delegate.keys)
        }
        if self.changed.contains(.root) { files[.root] = self.root }
        try await self.host.publish(files, online: self.keys)
        self.changed = []
    }

    /// Gives roles other keys in a new root, and brings it out with all that they sign.
    /// - Parameter keys: those of targets or root; by default new ones, as many as must sign.
    func rotate(_ roles: [RoleName], to keys: [any SigningKey]? = nil) async throws {
        let oldRoot = self.keys[.root] ?? []
        for role in roles {
            if role == .snapshot || role == .timestamp {
                self.keys[role] = [try await self.host.makeKey(for: role)]
            } else if let keys {
                self.keys[role] = keys
            } else {
                self.keys[role] = []
                for _ in 0..<(self.thresholds[role] ?? 1) { self.keys[role]?.append(try await self.makeKey(for: role)) }
            }
        }
        try await self.signRoot(alsoBy: roles.contains(.root) ? oldRoot : [])
        self.changed.insert(.root)
        if roles.contains(.targets) { self.changed.insert(.targets) }
        try await self.publish()
    }

    /// What is current of a role.
    func current(_ role: RoleName) async throws -> [UInt8] { try await self.host.current(role) }

    /// Signs the timestamp again before it ends.
    func renew() async throws { try await self.host.renew(online: self.keys) }
}

// MARK: - What a thief can make

extension Repository {
    /// Metadata that holders of these keys can sign.
    func sign(_ payload: some Payload, with keys: [any SigningKey]) async throws -> [UInt8] {
        try await payload.signed(by: keys, format: self.format).bytes
    }

    /// What is signed in the current metadata of a role.
    func payload<Content: Payload>(_ role: RoleName, as type: Content.Type = Content.self) async throws -> Content {
        try Content(try JSONParser.parse(try await self.current(role))["signed"] ?? .null, format: self.format)
    }

    /// What a snapshot or timestamp says of metadata.
    func describe(_ bytes: [UInt8]) throws -> FileMetadata {
        try .listing(bytes, self.format, withHashes: self.host.listsHashes)
    }

    /// A timestamp of a snapshot, with the version given or one above the current.
    func timestamp(
        of snapshot: [UInt8],
        version: Int64? = nil,
        days: Double = 14,
        by keys: [any SigningKey]
    ) async throws -> [UInt8] {
        var timestamp: Timestamp = try await self.payload(.timestamp)
        timestamp.version = version ?? timestamp.version + 1
        timestamp.expires = self.clock.expiry(days: days)
        timestamp.snapshot = try self.describe(snapshot)
        return try await self.sign(timestamp, with: keys)
    }

    /// The current snapshot with other metadata of some roles, with the version given or one above the current.
    func snapshot(
        listing files: [RoleName: [UInt8]] = [:],
        version: Int64? = nil,
        days: Double = 1095,
        by keys: [any SigningKey]
    ) async throws -> [UInt8] {
        var snapshot: Snapshot = try await self.payload(.snapshot)
        snapshot.version = version ?? snapshot.version + 1
        snapshot.expires = self.clock.expiry(days: days)
        for (role, bytes) in files { snapshot[role] = try self.describe(bytes) }
        return try await self.sign(snapshot, with: keys)
    }

    /// A whole world below the root in which some roles have other metadata.
    func world(
        with files: [RoleName: [UInt8]] = [:],
        version: Int64? = nil,
        snapshotKeys: [any SigningKey],
        timestampKeys: [any SigningKey]
    ) async throws -> [RoleName: [UInt8]] {
        let snapshot = try await self.snapshot(listing: files, version: version, by: snapshotKeys)
        let timestamp = try await self.timestamp(of: snapshot, version: version, by: timestampKeys)
        return files.merging([.snapshot: snapshot, .timestamp: timestamp]) { $1 }
    }

    /// The same by who has stolen the keys of snapshot and timestamp.
    func worldOfThief(with files: [RoleName: [UInt8]] = [:], version: Int64? = nil) async throws -> [RoleName: [UInt8]]
    {
        try await self.world(
            with: files,
            version: version,
            snapshotKeys: self.keys[.snapshot] ?? [],
            timestampKeys: self.keys[.timestamp] ?? []
        )
    }
}

extension FileMetadata {
    /// What is said of metadata: length and hashes, and the version where the format has it, with or without the others.
    static func listing(
        _ bytes: [UInt8],
        _ format: WireFormat,
        withHashes listsHashes: Bool
    ) throws -> FileMetadata {
        var file = listsHashes ? FileMetadata(of: bytes) : FileMetadata()
        if format == .tuf { file.version = try UnverifiedMetadata(bytes, format: format).claimedVersion }
        return file
    }
}

extension TargetFile {
    static func content(_ text: String) -> TargetFile {
        TargetFile(length: Int64(text.utf8.count), hashes: Hashes(of: Array(text.utf8)))
    }
}
