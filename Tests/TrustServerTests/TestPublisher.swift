// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import NotaryAPI
import TUF
import X509

/// A key in memory that signs metadata.
struct TestKey: SigningKey {
    let privateKey: P256.Signing.PrivateKey
    let publicKey: TUF.PublicKey

    init() {
        self.privateKey = P256.Signing.PrivateKey()
        self.publicKey = PublicKey(type: .ecdsa, bytes: Array(self.privateKey.publicKey.derRepresentation))
    }

    /// A root key: its public part is a certificate for the collection.
    init(rootOf gun: String, at now: Date) throws {
        self.privateKey = P256.Signing.PrivateKey()
        self.publicKey = try PublicKey.rootCertificate(for: gun, signedBy: .init(self.privateKey), at: now)
    }

    func sign(_ message: [UInt8]) async throws -> TUF.Signature {
        let signature = try self.privateKey.signature(for: SHA256.hash(data: message))
        return Signature(keyID: self.publicKey.id, method: .ecdsa, bytes: Array(signature.rawRepresentation))
    }
}

/// The keys of one collection, and the metadata that its owner would make with them.
struct TestPublisher: Sendable {
    typealias Files = [(role: RoleName, bytes: [UInt8])]

    let gun: String
    let now: Date
    var rootKey: TestKey
    var targetsKey = TestKey()
    /// Nil: the server holds it.
    var snapshotKey: TestKey?
    var snapshotServerKey: TUF.PublicKey?
    var timestampServerKey: TUF.PublicKey

    init(gun: String, now: Date, timestampKey: TUF.PublicKey, snapshotKey: TUF.PublicKey? = nil) throws {
        self.gun = gun
        self.now = now
        self.rootKey = try TestKey(rootOf: gun, at: now)
        self.timestampServerKey = timestampKey
        self.snapshotServerKey = snapshotKey
        if snapshotKey == nil { self.snapshotKey = TestKey() }
    }

    func expiry(days: Double) -> Expiry { Expiry(self.now.addingTimeInterval(days * 86400)) }

    /// The root that names the present keys.
    func root(version: Int64 = 1, signedBy keys: [TestKey]? = nil, days: Double = 3650) async throws -> [UInt8] {
        let snapshot = self.snapshotKey?.publicKey ?? self.snapshotServerKey ?? self.timestampServerKey
        let root = Root(
            version: version,
            expires: self.expiry(days: days),
            keys: [self.rootKey.publicKey, self.targetsKey.publicKey, snapshot, self.timestampServerKey],
            roles: [
                .root: RoleDefinition(keyIDs: [self.rootKey.publicKey.id]),
                .targets: RoleDefinition(keyIDs: [self.targetsKey.publicKey.id]),
                .snapshot: RoleDefinition(keyIDs: [snapshot.id]),
                .timestamp: RoleDefinition(keyIDs: [self.timestampServerKey.id]),
            ]
        )
        return try await root.signed(by: keys ?? [self.rootKey], format: .notary).bytes
    }

    /// A targets role with one target for each name.
    func targets(
        version: Int64,
        names: [String] = [],
        delegations: Delegations = Delegations(),
        signedBy key: TestKey? = nil,
        days: Double = 1095
    ) async throws -> [UInt8] {
        var files: TargetMap = [:]
        for name in names {
            files[name] = TargetFile(length: 3, hashes: Hashes(of: Array(name.utf8)))
        }
        let targets = Targets(
            version: version,
            expires: self.expiry(days: days),
            targets: files,
            delegations: delegations
        )
        return try await targets.signed(by: [key ?? self.targetsKey], format: .notary).bytes
    }

    /// A snapshot of these files.
    func snapshot(
        version: Int64,
        of files: Files,
        signedBy key: TestKey? = nil,
        days: Double = 1095
    ) async throws -> [UInt8] {
        var meta: ByteOrderedMap<FileMetadata> = [:]
        for file in files { meta[file.role.text] = FileMetadata(of: file.bytes) }
        let snapshot = Snapshot(version: version, expires: self.expiry(days: days), meta: meta)
        guard let key = key ?? self.snapshotKey else { throw CancellationError() }
        return try await snapshot.signed(by: [key], format: .notary).bytes
    }

    /// What a first publish sends: root and targets, and a snapshot where the publisher holds its key.
    func first(names: [String] = ["v1"]) async throws -> Files {
        var files: Files = [
            (.root, try await self.root()), (.targets, try await self.targets(version: 2, names: names)),
        ]
        if self.snapshotKey != nil { files.append((.snapshot, try await self.snapshot(version: 2, of: files))) }
        return files
    }

    /// One delegation under `targets`.
    static func delegation(_ name: String, key: TestKey, paths: [String] = [""]) -> Delegations {
        Delegations(
            keys: [key.publicKey.id.text: key.publicKey],
            roles: [
                DelegatedRole(
                    name: RoleName(name),
                    definition: RoleDefinition(keyIDs: [key.publicKey.id]),
                    paths: paths
                )
            ]
        )
    }
}
