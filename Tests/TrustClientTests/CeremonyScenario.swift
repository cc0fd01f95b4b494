// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Database
import Foundation
import KeyStore
import Logging
import NotaryAPI
import TUF
import Testing
import TrustClient
import TrustServer
import TrustSigner

private struct OnePassphrase: SignerPassphrases {
    let defaultAlias = "test_1"
    func passphrase(forAlias alias: String, keysExist: Bool) -> Passphrase { Passphrase("a passphrase") }
}

/// Somebody with keys and a trust directory of their own.
struct Holder: Sendable {
    let client: CollectionClient
    let keys = MemoryKeys()
    /// The certificate of the root key, and the targets key.
    let root: PublicKey
    let targets: PublicKey

    init(_ client: CollectionClient) async throws {
        self.client = client
        let root = try await self.keys.make(.root)
        self.root = try PublicKey.rootCertificate(
            for: client.gun.text,
            signedBy: root.certificateKey,
            at: client.now()
        )
        self.targets = try await self.keys.make(.targets).publicKey
    }

    var publisher: CollectionPublisher { CollectionPublisher(self.client, keys: self.keys) }
    var ceremonies: CollectionCeremonies { self.client.ceremonies }

    /// What this holder signs with, named by the role's keys.
    func signing(_ ceremony: SigningCeremony) async throws -> [any SigningKey] {
        var found: [any SigningKey] = []
        let held = Set(try await self.keys.available().map(\.id))
        for key in ceremony.keys {
            let id = try key.canonicalID
            guard held.contains(id) else { continue }
            found.append(try ListedPrivateKey(try await self.keys.key(id), as: key))
        }
        return found
    }

    /// Signs copies of everything that waits at somebody else's and hands them back.
    func sign(for other: Holder) async throws {
        for ceremony in try await other.ceremonies.all() {
            let copy = try PendingMetadata(ceremony.metadata.bytes, format: .notary)
            var own = try await self.ceremony(copy, ceremony.role, from: other)
            let signed = Set(copy.signatures.map(\.keyID))
            let keys = try await self.signing(own).filter { !signed.contains($0.publicKey.id) }
            guard !keys.isEmpty else { continue }
            try await own.sign(with: keys)
            var merged = ceremony
            try merged.merge(try PendingMetadata(own.metadata.bytes, format: .notary))
            let path = other.ceremonies.path(of: merged)
            try Data(merged.metadata.bytes).write(to: URL(fileURLWithPath: path))
        }
    }

    /// What this holder makes of a file that came. Who is to sign by a root that waits itself has to be told of that.
    private func ceremony(
        _ copy: PendingMetadata,
        _ role: RoleName,
        from other: Holder
    ) async throws -> SigningCeremony {
        var given: [PendingMetadata] = []
        if role != .root, let root = try await other.ceremonies.all().first(where: { $0.role == .root }) {
            given = [root.metadata]
        }
        return try await self.ceremonies.ceremony(of: copy, role: role, given: given).ceremony
    }
}

/// Our server and signer over HTTPS, and people who hold the keys of one collection.
struct CeremonyScenario: Sendable {
    let gun: GUN
    let directory: String
    let transport: NotaryTransport
    let ann: Holder
    let ben: Holder
    let cid: Holder

    var all: [Holder] { [self.ann, self.ben, self.cid] }

    static func client(_ name: String, _ directory: String, _ transport: any TrustTransport) throws -> CollectionClient
    {
        CollectionClient(
            gun: try GUN("example.com/ceremony/app"),
            transport: transport,
            cache: MetadataCache(directory: "\(directory)/\(name)")
        )
    }

    func client(_ name: String = "reader", over transport: (any TrustTransport)? = nil) throws -> CollectionClient {
        try Self.client(name, self.directory, transport ?? self.transport)
    }

    /// Somebody who has all keys.
    func everybody() async throws -> CollectionPublisher {
        let keys = MemoryKeys()
        for holder in self.all {
            for key in try await holder.keys.available() {
                try await keys.add(try holder.keys.privateKey(key.id), role: key.role, gun: nil)
            }
        }
        return CollectionPublisher(try self.client("everybody"), keys: keys)
    }

    static func with(_ body: (CeremonyScenario) async throws -> Void) async throws {
        try await LiveServer.with { directory in
            var configuration = LocalSigner.Configuration()
            configuration.iterations = 1000
            let signer = try await LocalSigner(
                database: try await SQLiteDatabase(path: "\(directory)/signer.db"),
                passphrases: OnePassphrase(),
                configuration: configuration
            )
            return try await TrustServer(
                configuration: TrustServerConfiguration(),
                database: try await SQLiteDatabase(path: "\(directory)/trust.db"),
                signer: signer,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ).responder
        } _: { live in
            try await NotaryTransport.with(try live.notary) { transport in
                func holder(_ name: String) async throws -> Holder {
                    try await Holder(Self.client(name, live.directory, transport))
                }
                try await body(
                    CeremonyScenario(
                        gun: try GUN("example.com/ceremony/app"),
                        directory: live.directory,
                        transport: transport,
                        ann: try await holder("ann"),
                        ben: try await holder("ben"),
                        cid: try await holder("cid")
                    )
                )
            }
        }
    }

    /// Makes the collection, root and targets each two of three, and publishes it.
    func create(targets: Int64 = 2, serverManagesSnapshot: Bool = true) async throws {
        _ = try await self.ann.publisher.initialize(
            signers: [
                .root: .init(keys: self.all.map(\.root), threshold: 2),
                .targets: .init(keys: self.all.map(\.targets), threshold: targets),
            ],
            serverManagesSnapshot: serverManagesSnapshot
        )
        try await self.ben.sign(for: self.ann)
        let outcome = try await self.ann.publisher.publish()
        #expect(outcome.isFirst)
        for holder in [self.ben, self.cid] { _ = try await holder.client.update() }
    }

    func names(_ name: String = "reader") async throws -> [String] {
        var view = try await self.client(name).update()
        return try await view.list().map(\.name)
    }
}

/// A mirror, or a line that breaks: it may change what is read, and fail once something has been sent.
struct TamperingTransport: TrustTransport {
    let base: any TrustTransport
    var change: @Sendable (RoleName, [UInt8]) throws -> [UInt8] = { $1 }
    var failsAfterUpload = false

    func fetch(_ role: RoleName, _ reference: MetadataReference, of gun: GUN, limit: Int) async throws -> [UInt8] {
        try self.change(role, try await self.base.fetch(role, reference, of: gun, limit: limit))
    }

    func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws {
        try await self.base.upload(metadata, to: gun)
        if self.failsAfterUpload { throw TrustClientError(.unreachable, "the line is cut") }
    }

    func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.serverKey(for: role, of: gun)
    }

    func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.rotateServerKey(for: role, of: gun)
    }

    func delete(_ gun: GUN) async throws { try await self.base.delete(gun) }
    func ping() async throws { try await self.base.ping() }
}
