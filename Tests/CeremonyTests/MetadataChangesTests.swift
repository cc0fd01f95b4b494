// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import TUF
import Testing

@Suite("What a change says")
struct MetadataChangesTests {
    @Test("Holders see what changes before they sign")
    func changes() async throws {
        let old = try await Holders(2)
        let new = try await Holders(1)
        let trusted = try PendingMetadata(Holders.root(old.keys), format: .tuf)
        var root = Holders.root(old.keys, version: 2)
        root.keys[new.keys[0].id.text] = new.keys[0]
        root.roles[.targets] = RoleDefinition(keyIDs: [old.keys[0].id, new.keys[0].id], threshold: 1)
        let lines = try MetadataChanges.lines(of: try PendingMetadata(root, format: .tuf), after: trusted)
        #expect(
            lines == [
                "version 1 -> 2", "expires 2033-05-18T03:33:20Z -> 2033-05-18T03:33:20Z",
                "targets: + key \(new.keys[0].id) (ed25519)", "targets: - key \(old.keys[1].id) (ed25519)",
                "targets: threshold 2 -> 1 of 2",
            ]
        )
    }

    @Test("Of Notary's certificates the name, the end and the private key are told; what is below a control is not")
    func certificates() async throws {
        let gun = "example.com/team/app"
        let old = try await Holders(2, of: gun)
        let new = try await Holders(1, of: "example.com/other\u{1B}[2J")
        let trusted = try PendingMetadata(Holders.root(old.keys), format: .notary)
        var root = Holders.root(old.keys, version: 2)
        root.keys[new.keys[0].id.text] = new.keys[0]
        root.roles[.root] = RoleDefinition(keyIDs: [old.keys[0].id, new.keys[0].id], threshold: 2)
        let lines = try MetadataChanges.lines(of: try PendingMetadata(root, format: .notary), after: trusted)
        let bare = try new.keys[0].canonicalID
        let gone = try old.keys[1].canonicalID
        #expect(
            lines.dropFirst(2) == [
                "root: + key \(new.keys[0].id) (ecdsa-x509 of example.com/other\u{1B}[2J, expires 2040-03-14T17:46:40Z, "
                    + "private key \(bare))",
                "root: - key \(old.keys[1].id) (ecdsa-x509 of \(gun), expires 2040-03-14T17:46:40Z, private key \(gone))",
            ]
        )
    }

    @Test("Notary's snapshots list hashes, and delegations their thresholds")
    func notary() async throws {
        let expires = Expiry(Date(timeIntervalSince1970: 2_000_000_000))
        let old = Snapshot(
            version: 1,
            expires: expires,
            meta: ["root": FileMetadata(of: [0]), "targets": FileMetadata(of: [1])]
        )
        let new = Snapshot(
            version: 2,
            expires: expires,
            meta: ["root": FileMetadata(of: [0]), "targets": FileMetadata(of: [2])]
        )
        let lines = try MetadataChanges.lines(
            of: try PendingMetadata(new, format: .notary),
            after: try PendingMetadata(old, format: .notary)
        )
        let hashes = [[1], [2]].map { Hexadecimal.encode(FileMetadata(of: $0).hashes?.sha256 ?? []) }
        #expect(lines.last == "targets: sha256 \(hashes[0]) -> sha256 \(hashes[1])")

        let holders = try await Holders(2, .p256, format: .notary)
        var targets = Targets(version: 2, expires: expires)
        let role = RoleName("targets/releases")
        for key in holders.keys { targets.delegations.keys[key.id.text] = key }
        targets.delegations.roles = [
            DelegatedRole(
                name: role,
                definition: RoleDefinition(keyIDs: holders.keys.map(\.id), threshold: 2),
                paths: [""]
            )
        ]
        let told = try MetadataChanges.lines(of: try PendingMetadata(targets, format: .notary), after: nil)
        #expect(
            told.dropFirst(2) == [
                "+ delegation targets/releases",
                "delegation targets/releases: + key \(holders.keys[0].id) (ecdsa)",
                "delegation targets/releases: + key \(holders.keys[1].id) (ecdsa)",
                "delegation targets/releases: threshold 2 of 2", "delegation targets/releases: + path ",
            ]
        )
    }
}
