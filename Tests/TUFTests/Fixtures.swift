// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import TUF
import X509

/// A private key of any type that signs metadata.
struct TestKey: SigningKey {
    enum Material: Sendable {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey, pss: Bool)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    let material: Material
    let publicKey: PublicKey

    init(_ material: Material, publicKey: PublicKey? = nil) {
        self.material = material
        self.publicKey = publicKey ?? material.publicKey
    }

    /// A P-256 key.
    init() { self.init(.p256(P256.Signing.PrivateKey())) }

    /// The same key under another name, such as a certificate of it.
    func named(_ publicKey: PublicKey) -> TestKey { TestKey(self.material, publicKey: publicKey) }

    /// A root key: a new P-256 key, named by a certificate for the collection.
    static func root(for gun: String = Fixture.gun, at now: Date = Fixture.now) throws -> TestKey {
        let key = P256.Signing.PrivateKey()
        return TestKey(
            .p256(key),
            publicKey: try PublicKey.rootCertificate(for: gun, signedBy: Certificate.PrivateKey(key), at: now)
        )
    }

    func sign(_ message: [UInt8]) async throws -> Signature { try self.signature(of: message) }

    func sign(_ message: [UInt8], scheme: SignatureScheme) async throws -> Signature {
        guard case .p384(let key) = self.material else { return try self.signature(of: message) }
        let bytes = Array(try key.signature(for: SHA384.hash(data: message)).derRepresentation)
        return Signature(keyID: self.publicKey.id, method: .ofKey, bytes: bytes)
    }

    func signature(of message: [UInt8]) throws -> Signature {
        let digest = SHA256.hash(data: message)
        let (method, bytes): (SignatureMethod, [UInt8]) =
            switch self.material {
            case .p256(let key): (.ecdsa, Array(try key.signature(for: digest).rawRepresentation))
            case .p384(let key): (.ecdsa, Array(try key.signature(for: digest).rawRepresentation))
            case .p521(let key): (.ecdsa, Array(try key.signature(for: digest).rawRepresentation))
            case .rsa(let key, pss: true):
                (.rsaPSS, Array(try key.signature(for: digest, padding: .PSS).rawRepresentation))
            case .rsa(let key, pss: false):
                (.rsaPKCS1v15, Array(try key.signature(for: digest, padding: .insecurePKCS1v1_5).rawRepresentation))
            case .ed25519(let key): (.eddsa, Array(try key.signature(for: message)))
            }
        return Signature(keyID: self.publicKey.id, method: method, bytes: bytes)
    }
}

extension TestKey.Material {
    var publicKey: PublicKey {
        switch self {
        case .p256(let key): PublicKey(type: .ecdsa, bytes: Array(key.publicKey.derRepresentation))
        case .p384(let key): PublicKey(type: .ecdsa, bytes: Array(key.publicKey.derRepresentation))
        case .p521(let key): PublicKey(type: .ecdsa, bytes: Array(key.publicKey.derRepresentation))
        case .rsa(let key, _): PublicKey(type: .rsa, bytes: Array(key.publicKey.derRepresentation))
        case .ed25519(let key): PublicKey(type: .ed25519, bytes: Array(key.publicKey.rawRepresentation))
        }
    }
}

enum Fixture {
    static let gun = "example.com/team/app"
    static let now = Date(timeIntervalSince1970: 1_800_000_000)
    static let soon = Expiry(Fixture.now.addingTimeInterval(86400))
    static let past = Expiry(Fixture.now.addingTimeInterval(-1))

    /// One of the files that Go's notary wrote.
    static func vector(_ name: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Vectors")
        return [UInt8](try Data(contentsOf: folder.appendingPathComponent("\(name).json")))
    }

    /// A target whose content is its own name.
    static func target(_ name: String) -> TargetFile {
        TargetFile(length: Int64(name.utf8.count), hashes: Hashes(of: Array(name.utf8)))
    }

    static func targets(
        _ version: Int64 = 1,
        _ names: [String] = [],
        _ delegations: [(TestKey, DelegatedRole)] = []
    )
        -> Targets
    {
        var targets = Targets(version: version, expires: self.soon)
        for name in names { targets.targets[name] = self.target(name) }
        for (key, role) in delegations {
            targets.delegations.keys[key.publicKey.id.text] = key.publicKey
            targets.delegations.roles.append(role)
        }
        return targets
    }

    static func delegation(_ name: String, to keys: [TestKey], paths: [String], threshold: Int64 = 1) -> DelegatedRole {
        DelegatedRole(
            name: RoleName(name),
            definition: RoleDefinition(keyIDs: keys.map(\.publicKey.id), threshold: threshold),
            paths: paths
        )
    }

    /// A file that says whatever JSON text it is given, signed by a key.
    static func file(_ signed: String, by keys: [TestKey]) throws -> [UInt8] {
        let message = CanonicalJSON.encode(try JSONParser.parse(Array(signed.utf8)))
        let signatures = try keys.map { key in
            let signature = try key.signature(of: message)
            return
                #"{"keyid":"\#(signature.keyID)","method":"\#(signature.method)","sig":"\#(Base64.encode(signature.bytes))"}"#
        }
        return Array(#"{"signed":\#(signed),"signatures":[\#(signatures.joined(separator: ","))]}"#.utf8)
    }
}

/// A collection whose owner holds all keys, and can publish whatever it likes.
struct Publisher {
    var rootKeys: [TestKey]
    var keys: [RoleName: [TestKey]]
    var threshold: [RoleName: Int64] = [:]
    var rootVersion: Int64 = 1
    var rootExpires = Fixture.soon

    init() throws {
        self.rootKeys = [try .root()]
        self.keys = [.targets: [TestKey()], .snapshot: [TestKey()], .timestamp: [TestKey()]]
    }

    var rootPayload: Root {
        let all = self.keys.values.flatMap { $0 } + self.rootKeys
        var roles: [RoleName: RoleDefinition] = [:]
        for role in RoleName.topLevel {
            let keys = role == .root ? self.rootKeys : self.keys[role] ?? []
            roles[role] = RoleDefinition(keyIDs: keys.map(\.publicKey.id), threshold: self.threshold[role] ?? 1)
        }
        return Root(version: self.rootVersion, expires: self.rootExpires, keys: all.map(\.publicKey), roles: roles)
    }

    func root(alsoBy more: [TestKey] = []) async throws -> [UInt8] {
        try await self.rootPayload.signed(by: self.rootKeys + more, format: .notary).bytes
    }

    func sign(_ payload: some Payload, as role: RoleName) async throws -> [UInt8] {
        try await payload.signed(by: self.keys[role] ?? [], format: .notary).bytes
    }

    /// A timestamp, a snapshot and the roles, each at the same version and listing one another.
    func publish(
        _ version: Int64 = 1,
        root: [UInt8],
        targets: [RoleName: [UInt8]],
        expires: Expiry = Fixture.soon
    ) async throws -> Published {
        var meta: ByteOrderedMap<FileMetadata> = ["root": FileMetadata(of: root)]
        for (role, bytes) in targets { meta[role.text] = FileMetadata(of: bytes) }
        let snapshot = try await self.sign(Snapshot(version: version, expires: expires, meta: meta), as: .snapshot)
        let timestamp = try await self.sign(
            Timestamp(version: version, expires: Fixture.soon, snapshot: FileMetadata(of: snapshot)),
            as: .timestamp
        )
        return Published(root: root, timestamp: timestamp, snapshot: snapshot, targets: targets)
    }

    /// A whole collection with one role.
    func publish(_ version: Int64 = 1, targets: Targets? = nil) async throws -> Published {
        let root = try await self.root()
        let bytes = try await self.sign(targets ?? Fixture.targets(version, ["v\(version)"]), as: .targets)
        return try await self.publish(version, root: root, targets: [.targets: bytes])
    }
}

struct Published {
    var root: [UInt8]
    var timestamp: [UInt8]
    var snapshot: [UInt8]
    var targets: [RoleName: [UInt8]]

    /// Makes all of it trusted that ``targets`` has under the top-level name, and nothing below.
    func load(into collection: inout TrustedCollection) throws {
        try collection.updateRoot(self.root)
        try self.loadBelowRoot(into: &collection)
    }

    func loadBelowRoot(into collection: inout TrustedCollection) throws {
        try collection.updateTimestamp(self.timestamp)
        try collection.updateSnapshot(self.snapshot)
        try collection.updateTargets(.targets, self.targets[.targets] ?? [])
    }
}

extension TrustedCollection {
    init(at now: Date = Fixture.now, anchor: RootAnchor = .firstUse) {
        self.init(trust: RootTrust(gun: Fixture.gun, anchor: anchor), format: .notary, at: now)
    }

    /// What of it is trusted, to see that a refusal leaves it as it was.
    var state: [[UInt8]?] {
        let roles = self.targets.sorted { $0.key < $1.key }.map { Array($0.key.text.utf8) + $0.value.bytes }
        return [self.root?.bytes, self.timestamp?.bytes, self.snapshot?.bytes] + roles
    }

    /// The code of the refusal of a step, which must leave everything as it was; nil when there is no refusal.
    mutating func refusal(_ step: (inout TrustedCollection) throws -> Void) throws -> TUFError.Code? {
        let before = self.state
        do {
            try step(&self)
            return nil
        } catch let error as TUFError {
            guard self.state == before else { throw StateChanged(after: error) }
            return error.code
        }
    }

    struct StateChanged: Error {
        let after: TUFError
    }
}

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
