// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Synchronization
import TUF
import Updater

/// An Ed25519 key that signs metadata of TUF's format, under its own id or another.
struct TestKey: SigningKey {
    private let key = Curve25519.Signing.PrivateKey()
    let publicKey: PublicKey

    init() throws {
        self.publicKey = try PublicKey(type: .ed25519, bytes: Array(self.key.publicKey.rawRepresentation))
            .spelled(in: .tuf)
    }

    func sign(_ message: [UInt8]) async throws -> Signature {
        Signature(keyID: self.publicKey.id, method: .ofKey, bytes: Array(try self.key.signature(for: message)))
    }
}

/// A time that tests move.
final class TestClock: Sendable {
    private let time = Mutex(Date(timeIntervalSince1970: 1_900_000_000))

    var now: Date { self.time.withLock { $0 } }

    func advance(_ seconds: TimeInterval) { self.time.withLock { $0 += seconds } }
}

/// A repository whose owner holds all keys, and can publish whatever it likes.
struct TestRepository {
    struct Role {
        var payload: Targets
        var keys: [TestKey]
    }

    let clock = TestClock()
    let transport = MemoryTransport()
    var keys: [RoleName: [TestKey]] = [:]
    var threshold: [RoleName: Int64] = [:]
    var rootVersion: Int64 = 0
    var isConsistent = true
    var targets: Targets
    var delegated: [RoleName: Role] = [:]
    var versions: [RoleName: Int64] = [.snapshot: 0, .timestamp: 0]
    /// Whether snapshot and timestamp list lengths and hashes besides versions.
    var listsHashes = false
    let lifetime: TimeInterval = 30 * 86400

    init() async throws {
        self.targets = Targets(version: 0, expires: Expiry(self.clock.now.addingTimeInterval(self.lifetime)))
        for role in RoleName.topLevel { self.keys[role] = [try TestKey()] }
        try await self.publishRoot()
    }

    var expires: Expiry { Expiry(self.clock.now.addingTimeInterval(self.lifetime)) }

    /// The next root, signed by its own keys and more.
    @discardableResult
    mutating func publishRoot(alsoBy more: [TestKey] = []) async throws -> [UInt8] {
        self.rootVersion += 1
        let all = self.keys.values.flatMap { $0 }.map(\.publicKey)
        var roles: [RoleName: RoleDefinition] = [:]
        for role in RoleName.topLevel {
            let ids = (self.keys[role] ?? []).map(\.publicKey.id)
            roles[role] = RoleDefinition(keyIDs: ids, threshold: self.threshold[role] ?? 1)
        }
        var root = Root(version: self.rootVersion, expires: self.expires, keys: all, roles: roles)
        root.consistentSnapshot = self.isConsistent
        let bytes = try await root.signed(by: (self.keys[.root] ?? []) + more, format: .tuf).bytes
        self.transport[.metadata(.root, version: self.rootVersion)] = bytes
        return bytes
    }

    /// Gives a role new keys in a new root.
    mutating func rotate(_ role: RoleName, to keys: [TestKey]) async throws {
        let old = role == .root ? self.keys[.root] ?? [] : []
        self.keys[role] = keys
        try await self.publishRoot(alsoBy: old)
    }

    private func describe(_ version: Int64, _ bytes: [UInt8]) -> FileMetadata {
        var file = self.listsHashes ? FileMetadata(of: bytes) : FileMetadata()
        file.version = version
        return file
    }

    private func put(_ role: RoleName, _ version: Int64, _ bytes: [UInt8]) {
        self.transport[.metadata(role, version: self.isConsistent && role != .timestamp ? version : nil)] = bytes
    }

    /// The next targets, delegated roles as they are, the next snapshot and timestamp.
    mutating func publish() async throws {
        self.targets.version += 1
        self.targets.expires = self.expires
        try await self.publishBelowTargets()
    }

    /// Targets and delegated roles as they are, the next snapshot and timestamp.
    mutating func publishBelowTargets(listing more: ByteOrderedMap<FileMetadata> = [:]) async throws {
        var meta = more
        var roles = self.delegated
        roles[.targets] = Role(payload: self.targets, keys: self.keys[.targets] ?? [])
        for (name, role) in roles {
            let bytes = try await role.payload.signed(by: role.keys, format: .tuf).bytes
            self.put(name, role.payload.version, bytes)
            if meta[name.text] == nil { meta[name.text] = self.describe(role.payload.version, bytes) }
        }
        try await self.publishSnapshot(Snapshot(version: self.next(.snapshot), expires: self.expires, meta: meta))
    }

    mutating func publishSnapshot(_ snapshot: Snapshot) async throws {
        let bytes = try await snapshot.signed(by: self.keys[.snapshot] ?? [], format: .tuf).bytes
        self.put(.snapshot, snapshot.version, bytes)
        try await self.publishTimestamp(self.describe(snapshot.version, bytes))
    }

    mutating func publishTimestamp(_ file: FileMetadata) async throws {
        let timestamp = Timestamp(version: self.next(.timestamp), expires: self.expires, snapshot: file)
        let bytes = try await timestamp.signed(by: self.keys[.timestamp] ?? [], format: .tuf).bytes
        self.put(.timestamp, timestamp.version, bytes)
    }

    mutating func next(_ role: RoleName) -> Int64 {
        let version = (self.versions[role] ?? 0) + 1
        self.versions[role] = version
        return version
    }

    /// A target of this content in the top-level role, and its file.
    mutating func add(_ path: String, _ content: String, file: Bool = true) throws {
        self.targets.targets[path] = Self.target(content)
        if file { try self.put(path, content) }
    }

    static func target(_ content: String) -> TargetFile {
        TargetFile(length: Int64(content.utf8.count), hashes: Hashes(of: Array(content.utf8)))
    }

    func put(_ path: String, _ content: String) throws {
        let sha256 = Hashes(of: Array(content.utf8)).sha256 ?? []
        let hash = self.isConsistent ? Hexadecimal.encode(sha256) : nil
        self.transport[.target(try TargetPath(path), hash: hash)] = Array(content.utf8)
    }

    /// Delegates to a role with keys of its own.
    mutating func delegate(
        to name: String,
        paths: [String],
        matching: PathMatching = .patterns,
        isTerminating: Bool = false,
        from delegator: RoleName = .targets,
        keys: [TestKey]? = nil,
        targets: [String: String] = [:]
    ) throws {
        let role = RoleName(name)
        let keys = try keys ?? self.delegated[role]?.keys ?? [TestKey()]
        let delegation = DelegatedRole(
            name: role,
            definition: RoleDefinition(keyIDs: keys.map(\.publicKey.id)),
            paths: paths,
            matching: matching,
            isTerminating: isTerminating
        )
        var parent = self.delegated[delegator]?.payload ?? self.targets
        parent.delegations.roles.append(delegation)
        for key in keys { parent.delegations.keys[key.publicKey.id.text] = key.publicKey }
        if delegator == .targets { self.targets = parent } else { self.delegated[delegator]?.payload = parent }
        var payload = self.delegated[role]?.payload ?? Targets(version: 1, expires: self.expires)
        for (path, content) in targets {
            payload.targets[path] = Self.target(content)
            try self.put(path, content)
        }
        self.delegated[role] = Role(payload: payload, keys: keys)
    }
}

/// A directory that is removed when the test is done.
final class TestDirectory: Sendable {
    let path = NSTemporaryDirectory() + "/updater-\(UInt64.random(in: .min ... .max))"

    deinit { try? FileManager.default.removeItem(atPath: self.path) }

    /// The names in it, but for the notes on what was refreshed.
    func names(_ folder: String = "") -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(self.path)/\(folder)")) ?? [])
            .filter { ![".refreshed", ".verified"].contains($0) }.sorted()
    }

    func read(_ name: String) -> [UInt8]? {
        (try? Data(contentsOf: URL(fileURLWithPath: "\(self.path)/\(name)"))).map { [UInt8]($0) }
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: "\(self.path)/\(name)"))
    }
}

extension TestRepository {
    func updater(_ directory: TestDirectory, settings: Updater.Settings = .init()) -> Updater {
        Updater(
            transport: self.transport,
            directory: directory.path,
            trustedRoot: self.transport[.metadata(.root, version: 1)],
            settings: settings,
            now: { [clock] in clock.now }
        )
    }
}

/// The code of the failure of a step; nil when there is none.
func failure(_ step: () async throws -> Void) async throws -> UpdaterError.Code? {
    do {
        try await step()
        return nil
    } catch let error as UpdaterError {
        return error.code
    }
}
