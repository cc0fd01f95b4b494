// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import Synchronization
import TUF

@testable import TUFRepository

/// A directory that is gone when the test is.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        self.path = NSTemporaryDirectory() + "/hallmark-repository-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }

    /// Writes a file and says where it is.
    func file(_ name: String, _ content: String) throws -> String {
        let path = "\(self.path)/\(name)"
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }
}

/// Private keys in memory.
final class MemoryKeys: SigningKeySource {
    private let keys = Mutex<[KeyID: PrivateKey]>([:])

    /// Makes a key that this source can sign with.
    func make(_ algorithm: PrivateKey.Algorithm = .ed25519) async throws -> PublicKey {
        let key = try await PrivateKey.generate(algorithm)
        let listed = try key.publicKey.spelled(in: .tuf)
        self.keys.withLock { $0[listed.id] = key }
        return listed
    }

    func forget(_ key: PublicKey) {
        self.keys.withLock { $0[key.id] = nil }
    }

    func signingKeys(among keys: [PublicKey], for role: RoleName) async throws -> [any SigningKey] {
        try keys.compactMap { key in
            try self.keys.withLock { $0[key.id] }.map { try ListedPrivateKey($0, as: key) }
        }
    }
}

/// A clock that only the test moves.
final class TestClock: Sendable {
    private let date = Mutex(Date(timeIntervalSince1970: 1_900_000_000))
    var now: Date { self.date.withLock { $0 } }
    func advance(days: Double) { self.date.withLock { $0 += days * 86400 } }
}

/// A repository and what belongs to it.
struct TestRepository {
    let directory: TemporaryDirectory
    let keys = MemoryKeys()
    let clock = TestClock()

    var path: String { self.directory.path + "/repository" }

    init() throws {
        self.directory = try TemporaryDirectory()
    }

    func repository(_ files: (any RepositoryFiles)? = nil, keys: MemoryKeys? = nil) -> StaticRepository {
        StaticRepository(directory: self.path, keys: keys ?? self.keys, files: files) { [clock] in clock.now }
    }

    /// Makes a repository with one key for each role.
    @discardableResult
    func create(
        _ algorithm: PrivateKey.Algorithm = .ed25519,
        isConsistent: Bool = true
    ) async throws -> [RoleName: PublicKey] {
        var keys: [RoleName: PublicKey] = [:]
        for role in RoleName.topLevel { keys[role] = try await self.keys.make(algorithm) }
        _ = try await self.repository().create(
            signers: keys.mapValues { Signers(keys: [$0]) },
            isConsistent: isConsistent
        )
        return keys
    }

    /// Stages a file of this content.
    func add(_ path: String, _ content: String, role: RoleName? = nil) async throws {
        let source = try self.directory.file("source", content)
        try await self.repository().add(path, file: source, role: role)
    }

    func addAndPublish(_ path: String, _ content: String) async throws {
        try await self.add(path, content)
        _ = try await self.repository().publish()
    }

    func client() -> TestClient { TestClient(LocalFiles(self.path), at: self.clock.now) }
}

/// A reader of a repository's files, that keeps what it trusted before.
struct TestClient {
    private var files: any RepositoryFiles
    private let now: Date
    private var root: [UInt8]?
    private var timestamp: [UInt8]?
    private var snapshot: [UInt8]?
    private(set) var collection: TrustedCollection?

    init(_ files: any RepositoryFiles, at now: Date) {
        self.files = files
        self.now = now
    }

    private func read(_ path: String) throws -> [UInt8] {
        guard let bytes = try self.files.read(path, limit: 1 << 28) else {
            throw TUFError(.malformed, "\(path) is not there")
        }
        return bytes
    }

    /// What other files than the present ones, or a later time, have to say to a client that has read before.
    func moved(to files: any RepositoryFiles, at now: Date? = nil) -> TestClient {
        var copy = TestClient(files, at: now ?? self.now)
        (copy.root, copy.timestamp, copy.snapshot) = (self.root, self.timestamp, self.snapshot)
        return copy
    }

    /// The workflow of the specification up to `targets`.
    mutating func refresh() throws {
        var collection = TrustedCollection(trust: .succession, format: .tuf, at: self.now)
        let first = try self.root ?? self.read("metadata/1.root.json")
        try collection.rememberRoot(first)
        self.root = first
        if let timestamp = self.timestamp { collection.rememberTimestamp(timestamp) }
        if let snapshot = self.snapshot { collection.rememberSnapshot(snapshot) }
        while let version = collection.root?.payload.version,
            let next = try self.files.read("metadata/\(version + 1).root.json", limit: 1 << 22)
        {
            try collection.updateRoot(next)
            self.root = next
        }
        try collection.requireCurrentRoot()
        try collection.updateTimestamp(try self.read("metadata/timestamp.json"))
        self.timestamp = collection.timestamp?.bytes
        let prefix = { (version: Int64?) in
            collection.root?.payload.consistentSnapshot == true ? "\(version ?? 0)." : ""
        }
        let version = collection.timestamp?.payload.snapshot.version
        try collection.updateSnapshot(try self.read("metadata/\(prefix(version))snapshot.json"))
        self.snapshot = collection.snapshot?.bytes
        let targets = collection.listed(.targets)?.version
        try collection.updateTargets(.targets, try self.read("metadata/\(prefix(targets))targets.json"))
        self.collection = collection
    }

    /// Looks a target up, and gives its content.
    mutating func download(_ path: String) throws -> String? {
        guard var collection = self.collection else { return nil }
        defer { self.collection = collection }
        var search = DelegationSearch(for: path)
        while true {
            switch try search.next(in: collection) {
            case .load(let delegation):
                let version = collection.listed(delegation.role)?.version ?? 0
                let prefix = collection.root?.payload.consistentSnapshot == true ? "\(version)." : ""
                try collection.updateTargets(delegation, try self.read("metadata/\(prefix)\(delegation.role).json"))
            case .found(_, let file):
                let isConsistent = collection.root?.payload.consistentSnapshot == true
                for name in RepositoryLayout.names(of: path, file, isConsistent: isConsistent) {
                    let bytes = try self.read(name)
                    try file.hashes.verify(bytes, format: .tuf)
                    guard name == RepositoryLayout.names(of: path, file, isConsistent: isConsistent).last else {
                        continue
                    }
                    return String(decoding: bytes, as: UTF8.self)
                }
                return nil
            case .end: return nil
            }
        }
    }

    /// Reads all and gives what a path names.
    static func read(_ path: String, from repository: TestRepository) throws -> String? {
        var client = repository.client()
        try client.refresh()
        return try client.download(path)
    }
}
