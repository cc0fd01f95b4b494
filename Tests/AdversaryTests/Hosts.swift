// SPDX-License-Identifier: Apache-2.0

import Database
import KeyStore
import NotaryAPI
import Synchronization
import TUF
import TrustClient
import TrustServer
import Updater

/// A repository of TUF 1.0 on a static web server.
final class StaticHost: Host {
    let server: FileServer
    private let clock: TestClock
    private var files: [RoleName: [UInt8]] = [:]
    private var snapshot: Snapshot
    private var timestampVersion: Int64 = 0
    private let days: (timestamp: Double, snapshot: Double) = (14, 1095)

    let listsHashes: Bool

    init(_ server: FileServer, listsHashes: Bool, clock: TestClock) {
        self.server = server
        self.listsHashes = listsHashes
        self.clock = clock
        self.snapshot = Snapshot(version: 0, expires: clock.expiry(days: 1095), meta: [:])
    }

    func makeKey(for role: RoleName) async throws -> any SigningKey { try await PrivateKey.generate(.p256) }

    func publish(_ files: [RoleName: [UInt8]], online: [RoleName: [any SigningKey]]) async throws {
        for (role, bytes) in files {
            try self.put(bytes, of: role)
            if role != .root { self.snapshot[role] = try .listing(bytes, .tuf, withHashes: self.listsHashes) }
        }
        self.snapshot.version += 1
        self.snapshot.expires = self.clock.expiry(days: self.days.snapshot)
        try self.put(
            try await self.snapshot.signed(by: online[.snapshot] ?? [], format: .tuf).bytes,
            of: .snapshot
        )
        try await self.renew(online: online)
    }

    func renew(online: [RoleName: [any SigningKey]]) async throws {
        self.timestampVersion += 1
        let timestamp = Timestamp(
            version: self.timestampVersion,
            expires: self.clock.expiry(days: self.days.timestamp),
            snapshot: try .listing(try await self.current(.snapshot), .tuf, withHashes: self.listsHashes)
        )
        try self.put(
            try await timestamp.signed(by: online[.timestamp] ?? [], format: .tuf).bytes,
            of: .timestamp
        )
    }

    private func put(_ bytes: [UInt8], of role: RoleName) throws {
        let version = try UnverifiedMetadata(bytes, format: .tuf).claimedVersion
        let file = RepositoryFile.metadata(role, version: role == .timestamp ? nil : version)
        self.server[FileServer.metadata + file.urlPath] = bytes
        self.files[role] = bytes
    }

    func put(_ content: [UInt8], at path: String) throws {
        let hash = Hashes(of: content).sha256.map { Hexadecimal.encode($0) }
        self.server[FileServer.targets + RepositoryFile.target(try TargetPath(path), hash: hash).urlPath] = content
    }

    func current(_ role: RoleName) async throws -> [UInt8] {
        guard let bytes = self.files[role] else { throw TUFError(.order, role: role, "was never published") }
        return bytes
    }
}

/// Holds a trust server's keys, where a thief can reach them.
final class MemorySigner: Signer {
    private struct State {
        var keys: [KeyID: PrivateKey] = [:]
        var pending: [RoleName: KeyID] = [:]
    }

    private let state = Mutex(State())

    func createKey(algorithm: KeyType, gun: String, role: RoleName) async throws -> PublicKey {
        let made = try await PrivateKey.generate(.p256)
        return self.state.withLock { state in
            if let id = state.pending[role], let key = state.keys[id] { return key.publicKey }
            state.keys[made.publicKey.id] = made
            state.pending[role] = made.publicKey.id
            return made.publicKey
        }
    }

    func publicKey(_ id: KeyID) async throws -> PublicKey? { self.state.withLock { $0.keys[id]?.publicKey } }

    func sign(_ message: [UInt8], with id: KeyID) async throws -> Signature {
        let key = self.state.withLock { state in
            for (role, pending) in state.pending where pending == id { state.pending[role] = nil }
            return state.keys[id]
        }
        guard let key else { throw SignerError(.keyNotFound, "no key \(id)") }
        return try key.sign(message)
    }

    func deleteKey(_ id: KeyID) async throws { self.state.withLock { $0.keys[id] = nil } }

    func steal(_ id: KeyID) throws -> PrivateKey {
        guard let key = self.state.withLock({ $0.keys[id] }) else { throw SignerError(.keyNotFound, "no key \(id)") }
        return key
    }
}

/// A collection on a trust server.
final class TrustServerHost: Host {
    private let transport: NotaryTransport
    private let signer: MemorySigner
    private let gun: GUN
    let listsHashes = true

    init(_ transport: NotaryTransport, _ signer: MemorySigner, gun: GUN) {
        self.transport = transport
        self.signer = signer
        self.gun = gun
    }

    func makeKey(for role: RoleName) async throws -> any SigningKey {
        try self.signer.steal(try await self.transport.rotateServerKey(for: role, of: self.gun).id)
    }

    func publish(_ files: [RoleName: [UInt8]], online: [RoleName: [any SigningKey]]) async throws {
        try await self.transport.upload(files.map { MetadataUpload(role: $0.key, bytes: $0.value) }, to: self.gun)
    }

    /// The server does so when somebody asks for one that has ended.
    func renew(online: [RoleName: [any SigningKey]]) async throws {}

    /// Content is elsewhere: a collection only says what it is.
    func put(_ content: [UInt8], at path: String) throws {}

    func current(_ role: RoleName) async throws -> [UInt8] {
        try await self.transport.fetch(role, .current, of: self.gun, limit: WireFormat.metadataLimit)
    }
}
