// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import KeyStore
import NotaryAPI
import Synchronization
import TUF
import TrustClient

/// A time that tests set.
final class TestClock: Sendable {
    private let date: Mutex<Date>

    init(_ date: Date = Date(timeIntervalSince1970: 1_800_000_000)) { self.date = Mutex(date) }

    var now: Date { self.date.withLock { $0 } }
    func advance(days: Double) { self.date.withLock { $0 += days * 86400 } }
}

/// Private keys that are not encrypted, and nowhere but here.
final class MemoryKeys: SigningKeys {
    private let keys = Mutex<[KeyID: (AvailableKey, PrivateKey)]>([:])

    func available() async throws -> [AvailableKey] {
        self.keys.withLock { $0.values.map(\.0).sorted { $0.id < $1.id } }
    }

    func key(_ id: KeyID) async throws -> any UnlockedKey { try self.privateKey(id) }

    func privateKey(_ id: KeyID) throws -> PrivateKey {
        guard let key = self.keys.withLock({ $0[id]?.1 }) else { throw KeyStoreError(.notFound, "\(id)") }
        return key
    }

    func add(_ key: PrivateKey, role: RoleName, gun: GUN?) async throws {
        let id = key.publicKey.id
        self.keys.withLock { $0[id] = (AvailableKey(id: id, role: role, gun: gun?.text), key) }
    }

    func remove(_ id: KeyID) async throws {
        self.keys.withLock { $0[id] = nil }
    }

    /// Makes a key and keeps it.
    func make(_ role: RoleName) async throws -> PrivateKey {
        let key = try await PrivateKey.generate(.p256)
        try await self.add(key, role: role, gun: nil)
        return key
    }
}

/// A trust server in memory that does what it is sent, and may be told to misbehave.
final class MemoryServer: TrustTransport {
    struct File {
        var version: Int64
        var bytes: [UInt8]
    }

    /// What is done instead of answering as it should be.
    typealias Interceptor = @Sendable (RoleName, MetadataReference) throws -> [UInt8]?

    struct State {
        var files: [RoleName: [File]] = [:]
        var onlineKeys: [RoleName: PrivateKey] = [:]
        var pendingKeys: [RoleName: PrivateKey] = [:]
        var log: [String] = []
        var limits: [RoleName: Int] = [:]
        var intercept: Interceptor?
        var beforeUpload: (@Sendable () async throws -> Void)?
        var uploads: [[MetadataUpload]] = []
    }

    let state = Mutex(State())
    let clock: TestClock
    var timestampDays: Double { 14 }

    init(clock: TestClock) { self.clock = clock }

    var log: [String] { self.state.withLock { $0.log } }
    func clearLog() { self.state.withLock { $0.log = [] } }

    /// Misbehaves from now on, until ``behave()``.
    func intercept(_ interceptor: @escaping Interceptor) { self.state.withLock { $0.intercept = interceptor } }
    func behave() { self.state.withLock { $0.intercept = nil } }

    func current(_ role: RoleName) -> [UInt8]? { self.state.withLock { $0.files[role]?.last?.bytes } }
    func stored(_ role: RoleName, _ version: Int64) -> [UInt8]? {
        self.state.withLock { $0.files[role]?.first { $0.version == version }?.bytes }
    }
    func forget(_ role: RoleName, _ version: Int64) {
        self.state.withLock { $0.files[role]?.removeAll { $0.version == version } }
    }
    func onlineKey(_ role: RoleName) -> PrivateKey? { self.state.withLock { $0.onlineKeys[role] } }

    // MARK: TrustTransport

    func fetch(_ role: RoleName, _ reference: MetadataReference, of gun: GUN, limit: Int) async throws -> [UInt8] {
        let name: String
        switch reference {
        case .current: name = "\(role)"
        case .sha256: name = "\(role).<hash>"
        case .version(let version): name = "\(version).\(role)"
        }
        let interceptor = self.state.withLock { state in
            state.log.append(name)
            state.limits[role] = limit
            return state.intercept
        }
        if let bytes = try interceptor?(role, reference) { return bytes }
        if role == .timestamp, reference == .current { try await self.renewTimestamp() }
        let found: [UInt8]? = self.state.withLock { state in
            let files = state.files[role] ?? []
            switch reference {
            case .current: return files.last?.bytes
            case .sha256(let hash):
                return files.first { Hexadecimal.encode(Hashes(of: $0.bytes).sha256 ?? []) == hash }?.bytes
            case .version(let version): return files.first { $0.version == version }?.bytes
            }
        }
        guard let found else { throw TrustClientError(.noTrustData, "\(role)") }
        return found
    }

    func upload(_ files: [MetadataUpload], to gun: GUN) async throws {
        // As notary-server, it takes no notice of a timestamp that is sent.
        let metadata = files.filter { $0.role != .timestamp }
        let hook = self.state.withLock { state in
            defer { state.beforeUpload = nil }
            return state.beforeUpload
        }
        try await hook?()
        let signed = try await self.signed(metadata)
        try self.state.withLock { state in
            for upload in metadata {
                let version = try UnverifiedMetadata(upload.bytes, format: .notary).claimedVersion ?? 0
                guard (state.files[upload.role]?.last?.version ?? 0) < version else {
                    throw TrustClientError(.conflict, "\(upload.role) \(version)", serverCode: "VERSION")
                }
            }
            state.uploads.append(metadata)
            for upload in metadata + signed {
                let version = try UnverifiedMetadata(upload.bytes, format: .notary).claimedVersion ?? 0
                state.files[upload.role, default: []].append(File(version: version, bytes: upload.bytes))
            }
        }
    }

    func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        if let key = self.onlineKey(role) { return key.publicKey }
        let key = try await PrivateKey.generate(.p256)
        self.state.withLock { $0.onlineKeys[role] = key }
        return key.publicKey
    }

    func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        let key = try await PrivateKey.generate(.p256)
        self.state.withLock { $0.pendingKeys[role] = key }
        return key.publicKey
    }

    func delete(_ gun: GUN) async throws { self.state.withLock { $0.files = [:] } }

    func ping() async throws {}

    // MARK: What the server signs

    /// The snapshot, unless it was sent, and the timestamp for an upload.
    private func signed(_ metadata: [MetadataUpload]) async throws -> [MetadataUpload] {
        var root = self.current(.root)
        for upload in metadata where upload.role == .root { root = upload.bytes }
        guard let root else { throw TrustClientError(.rejected, "no root") }
        let roles = try Root(try JSONParser.parse(root)["signed"] ?? .null, format: .notary)
        self.state.withLock { state in
            for (role, key) in state.pendingKeys
            where (roles.roles[role]?.keyIDs ?? []).contains(key.publicKey.id) {
                state.onlineKeys[role] = key
            }
        }
        var made: [MetadataUpload] = []
        var snapshotBytes = metadata.first { $0.role == .snapshot }?.bytes
        if snapshotBytes == nil {
            let bytes = try await self.snapshot(with: metadata)
            made.append(MetadataUpload(role: .snapshot, bytes: bytes))
            snapshotBytes = bytes
        }
        let version = (self.state.withLock { $0.files[.timestamp]?.last?.version } ?? 0) + 1
        made.append(
            MetadataUpload(role: .timestamp, bytes: try await self.timestamp(version, of: snapshotBytes ?? []))
        )
        return made
    }

    private func snapshot(with metadata: [MetadataUpload]) async throws -> [UInt8] {
        guard let key = self.onlineKey(.snapshot) else { throw TrustClientError(.rejected, "no snapshot") }
        var meta = ByteOrderedMap<FileMetadata>()
        if let bytes = self.current(.snapshot) {
            meta = try Snapshot(try JSONParser.parse(bytes)["signed"] ?? .null, format: .notary).meta
        }
        if let root = self.current(.root) { meta["root"] = FileMetadata(of: root) }
        for upload in metadata { meta[upload.role.text] = FileMetadata(of: upload.bytes) }
        let version = (self.state.withLock { $0.files[.snapshot]?.last?.version } ?? 0) + 1
        let snapshot = Snapshot(
            version: version,
            expires: Expiry(self.clock.now.addingTimeInterval(1095 * 86400)),
            meta: meta
        )
        return try await snapshot.signed(by: [key], format: .notary).bytes
    }

    /// A timestamp signed with the server's key.
    func timestamp(_ version: Int64, of snapshot: [UInt8], by key: PrivateKey? = nil) async throws -> [UInt8] {
        guard let key = key ?? self.onlineKey(.timestamp) else { throw TrustClientError(.rejected, "no timestamp key") }
        let timestamp = Timestamp(
            version: version,
            expires: Expiry(self.clock.now.addingTimeInterval(self.timestampDays * 86400)),
            snapshot: FileMetadata(of: snapshot)
        )
        return try await timestamp.signed(by: [key], format: .notary).bytes
    }

    /// As a server does when somebody asks for one that has ended.
    private func renewTimestamp() async throws {
        guard let bytes = self.current(.timestamp), let signed = try JSONParser.parse(bytes)["signed"] else { return }
        if try Timestamp(signed, format: .notary).expires < Expiry(self.clock.now) { try await self.refreshTimestamp() }
    }

    /// Signs the timestamp again with the next version, as a server does when the old one ends.
    func refreshTimestamp() async throws {
        guard let snapshot = self.current(.snapshot) else { return }
        let version = (self.state.withLock { $0.files[.timestamp]?.last?.version } ?? 0) + 1
        let bytes = try await self.timestamp(version, of: snapshot)
        self.state.withLock { $0.files[.timestamp, default: []].append(File(version: version, bytes: bytes)) }
    }
}
