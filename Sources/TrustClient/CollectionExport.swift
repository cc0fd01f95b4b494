// SPDX-License-Identifier: Apache-2.0

package import NotaryAPI
package import TUF

/// All metadata of a collection that somebody needs who has only its pins: never keys.
package struct CollectionExport: Sendable {
    /// Every root that the server still has, oldest first, without a gap up to the current one.
    package let roots: [(version: Int64, bytes: [UInt8])]
    /// The other roles' files, `timestamp`, `snapshot` and `targets` first.
    package let files: [MetadataUpload]
    /// The collection as it was verified.
    package let collection: LoadedCollection
}

extension CollectionClient {
    /// Updates the collection and takes all of it along, as it is on the server, byte for byte.
    /// - Throws: ``TrustClientError``; `unreachable` also where what is cached would do to read it.
    package func export() async throws -> CollectionExport {
        var collection = try await self.update()
        if let offline = collection.offline { throw offline }
        _ = try await collection.delegations()
        guard let root = collection.trusted.root, let timestamp = collection.trusted.timestamp,
            let snapshot = collection.trusted.snapshot, let targets = collection.trusted.targets[.targets]
        else { throw TrustClientError(.other, "\(self.gun) was not loaded as a whole") }
        var files = [
            MetadataUpload(role: .timestamp, bytes: timestamp.bytes),
            MetadataUpload(role: .snapshot, bytes: snapshot.bytes),
            MetadataUpload(role: .targets, bytes: targets.bytes),
        ]
        let delegations = try await collection.delegations().map(\.role.name)
        for role in Set(delegations).sorted() {
            // One that has expired goes along too: it is left out there as it is here.
            guard let bytes = try await collection.listedBytes(of: role) else { continue }
            files.append(MetadataUpload(role: role, bytes: bytes))
        }
        return CollectionExport(
            roots: try await self.roots(upTo: root),
            files: files,
            collection: collection
        )
    }

    private func roots(upTo newest: Verified<Root>) async throws -> [(version: Int64, bytes: [UInt8])] {
        var roots = [(newest.payload.version, newest.bytes)]
        for version in stride(from: newest.payload.version - 1, to: 0, by: -1) {
            guard roots.count <= WireFormat.rotationLimit else { break }
            do {
                let bytes = try await self.transport.fetch(
                    .root,
                    .version(version),
                    of: self.gun,
                    limit: WireFormat.rootLimit
                )
                roots.append((version, bytes))
            } catch let error as TrustClientError where error.code == .noTrustData {
                break
            }
        }
        return roots.reversed()
    }
}

/// The files of one collection as a server that cannot be changed. What comes from it is believed as little as from any server.
package struct StoredTransport: TrustTransport {
    private let roots: [Int64: [UInt8]]
    private let files: [RoleName: [UInt8]]

    /// Takes the files, whatever is in them.
    package init(roots: [Int64: [UInt8]], files: [RoleName: [UInt8]]) {
        self.roots = roots
        self.files = files
    }

    package func fetch(
        _ role: RoleName,
        _ reference: MetadataReference,
        of gun: GUN,
        limit: Int
    ) async throws -> [UInt8] {
        let found: [UInt8]? =
            switch reference {
            case .current: role == .root ? self.roots.max { $0.key < $1.key }?.value : self.files[role]
            case .version(let version): role == .root ? self.roots[version] : nil
            case .sha256(let hash):
                (role == .root ? Array(self.roots.values) : [self.files[role]].compactMap { $0 }).first {
                    Hexadecimal.encode(Hashes(of: $0).sha256 ?? []) == hash
                }
            }
        guard let found else { throw TrustClientError(.noTrustData, "\(gun): there is no \(role) here") }
        guard found.count <= limit else {
            let refusal = TUFError(.tooLarge, role: role, "has \(found.count) bytes, at most \(limit) are expected")
            throw TrustClientError(refusal, context: gun.text)
        }
        return found
    }

    package func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws { throw Self.refusal(gun) }

    package func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey { throw Self.refusal(gun) }

    package func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey { throw Self.refusal(gun) }

    package func delete(_ gun: GUN) async throws { throw Self.refusal(gun) }

    package func ping() async throws {}

    private static func refusal(_ gun: GUN) -> TrustClientError {
        TrustClientError(.invalid, "\(gun): what was carried here can only be read")
    }
}
