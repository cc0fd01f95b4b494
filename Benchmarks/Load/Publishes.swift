// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import NIOCore
import NIOHTTP1
import NotaryAPI
import TUF

/// A key in memory, under the id of its public part or of the certificate that metadata names it by.
struct PublisherKey: SigningKey {
    let key: PrivateKey
    let publicKey: PublicKey

    func sign(_ message: [UInt8]) async throws -> Signature {
        try self.key.sign(message, as: self.publicKey)
    }
}

/// One collection of a publisher who leaves snapshot and timestamp to the server, as Docker does: everything that will be
/// sent is signed before the clock starts.
struct Publisher: Sendable {
    let gun: String
    private let rootKey: PublisherKey
    private let targetsKey: PublisherKey
    private let expires: Expiry

    init(gun: String) async throws {
        self.gun = gun
        let now = Date()
        self.expires = Expiry(now.addingTimeInterval(300 * 86400))
        let root = try await PrivateKey.generate(.p256)
        let certificate = try PublicKey.rootCertificate(for: gun, signedBy: root.certificateKey, at: now)
        self.rootKey = PublisherKey(key: root, publicKey: certificate)
        let targets = try await PrivateKey.generate(.p256)
        self.targetsKey = PublisherKey(key: targets, publicKey: targets.publicKey)
    }

    var path: String { "/v2/\(self.gun)/_trust/tuf/" }

    /// The first publish: the root, which names the server's keys, and targets of version 1.
    func first(timestampKey: PublicKey, snapshotKey: PublicKey) async throws -> LoadRequest {
        let root = Root(
            version: 1,
            expires: self.expires,
            keys: [self.rootKey.publicKey, self.targetsKey.publicKey, snapshotKey, timestampKey],
            roles: [
                .root: RoleDefinition(keyIDs: [self.rootKey.publicKey.id]),
                .targets: RoleDefinition(keyIDs: [self.targetsKey.publicKey.id]),
                .snapshot: RoleDefinition(keyIDs: [snapshotKey.id]),
                .timestamp: RoleDefinition(keyIDs: [timestampKey.id]),
            ]
        )
        return self.request([
            (.root, try await root.signed(by: [self.rootKey], format: .notary).bytes),
            (.targets, try await self.targets(version: 1)),
        ])
    }

    /// A later publish: targets of one version more.
    func update(version: Int64) async throws -> LoadRequest {
        self.request([(.targets, try await self.targets(version: version))])
    }

    /// A later publish with these names.
    func update(version: Int64, names: [String]) async throws -> LoadRequest {
        self.request([(.targets, try await self.targets(version: version, names: names))])
    }

    /// Ten tags, as an image of some age has.
    private func targets(version: Int64) async throws -> [UInt8] {
        try await self.targets(version: version, names: (0..<10).map { "v1.\($0)" })
    }

    private func targets(version: Int64, names: [String]) async throws -> [UInt8] {
        var files: TargetMap = [:]
        for name in names {
            files[name] = TargetFile(length: 1528, hashes: Hashes(of: Array("\(self.gun) \(version) \(name)".utf8)))
        }
        let targets = Targets(version: version, expires: self.expires, targets: files, delegations: Delegations())
        return try await targets.signed(by: [self.targetsKey], format: .notary).bytes
    }

    private func request(_ files: [(role: RoleName, bytes: [UInt8])]) -> LoadRequest {
        let form = MultipartForm(files: files, random: (0..<30).map { _ in UInt8.random(in: .min ... .max) })
        return LoadRequest(
            method: .POST,
            path: self.path,
            headers: ["content-type": form.contentType],
            body: ByteBuffer(bytes: form.body)
        )
    }
}

/// Requests that were made before, one after the other.
struct Prepared: Conversation {
    private var requests: ArraySlice<LoadRequest>

    init(_ requests: [LoadRequest]) {
        self.requests = requests[...]
    }

    mutating func next(after reply: LoadReply?) -> LoadRequest? {
        self.requests.popFirst()
    }
}

/// One GET whose reply is kept.
final class Fetch: Conversation, @unchecked Sendable {
    // Written on the connection's event loop, read after the run's end.
    private(set) var body = ByteBuffer()
    private let path: String

    init(_ path: String) {
        self.path = path
    }

    func next(after reply: LoadReply?) -> LoadRequest? {
        guard let reply else { return LoadRequest(method: .GET, path: self.path) }
        self.body = reply.body
        return nil
    }
}
