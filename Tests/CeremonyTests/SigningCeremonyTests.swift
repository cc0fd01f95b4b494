// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import TUF
import Testing

@Suite("Signing ceremonies")
struct SigningCeremonyTests {
    @Test("Copies go around, are signed, merged, and say who is missing")
    func around() async throws {
        let holders = try await Holders(3)
        let start = try PendingMetadata(Holders.root(holders.keys), format: .tuf)
        var first = try SigningCeremony.root(start, after: nil)
        var second = first
        try await first.sign(with: try holders.signing(0))
        try await second.sign(with: try holders.signing(2))
        #expect(first.progress.map(\.signed) == [[holders.keys[0].id]])
        #expect(Set(first.progress[0].missing) == [holders.keys[1].id, holders.keys[2].id])
        #expect(!first.isComplete)
        // What is passed around is the file.
        let copy = try PendingMetadata(second.metadata.bytes, format: .tuf)
        #expect(try first.merge(copy) == [holders.keys[2].id])
        #expect(first.isComplete)
        let root: Verified<Root> = try first.metadata.verified(by: try Holders.root(holders.keys).keys(of: .root))
        #expect(root.payload.version == 1)
    }

    @Test("Foreign, repeated and wrong signatures are refused when they are made or merged, and change nothing")
    func refusals() async throws {
        let holders = try await Holders(2)
        let strangers = try await Holders(1)
        let start = try PendingMetadata(Holders.root(holders.keys), format: .tuf)
        var ceremony = try SigningCeremony.root(start, after: nil)
        await #expect(throws: CeremonyError(.foreignKey, "")) {
            try await ceremony.sign(with: try strangers.signing(0))
        }
        try await ceremony.sign(with: try holders.signing(0))
        let signed = ceremony.metadata.bytes
        await #expect(throws: CeremonyError(.alreadySigned, "")) {
            try await ceremony.sign(with: try holders.signing(0))
        }
        #expect(throws: CeremonyError(.alreadySigned, "")) {
            try ceremony.merge(try PendingMetadata(signed, format: .tuf))
        }
        // A copy that says something else.
        let other = try PendingMetadata(Holders.root(holders.keys, threshold: 1), format: .tuf)
        #expect(throws: CeremonyError(.otherContent, "")) { try ceremony.merge(other) }
        // A copy that somebody else signed as well.
        var foreign = start
        for signature in try await foreign.signatures(of: try strangers.signing(0)) { foreign.add(signature) }
        #expect(throws: CeremonyError(.foreignKey, "")) { try ceremony.merge(foreign) }
        #expect(throws: CeremonyError(.foreignKey, "")) { try SigningCeremony.root(foreign, after: nil) }
        // A signature in another's name.
        var forged = start
        var signature = try #require(try await forged.signatures(of: try holders.signing(0)).first)
        signature.keyID = holders.keys[1].id
        forged.add(signature)
        #expect(throws: CeremonyError(.wrongSignature, "")) { try ceremony.merge(forged) }
        #expect(ceremony.metadata.bytes == signed)
        // Two signatures of one key in a file.
        let text = String(decoding: signed, as: UTF8.self)
        let list = try #require(text.range(of: "\"signatures\":["))
        let element = text[list.upperBound...].dropLast(2)
        let twice = text[..<list.upperBound] + element + "," + element + "]}"
        #expect(throws: TUFError(.invalid, "")) { try PendingMetadata(Array(twice.utf8), format: .tuf) }
    }

    @Test("Of a new root both thresholds count, and it has to be the next")
    func succession() async throws {
        let old = try await Holders(2)
        let new = try await Holders(2)
        let trusted = Holders.root(old.keys)
        let next = try PendingMetadata(Holders.root(new.keys, version: 2), format: .tuf)
        var ceremony = try SigningCeremony.root(next, after: trusted)
        for index in 0..<2 { try await ceremony.sign(with: try new.signing(index)) }
        #expect(ceremony.progress.map(\.isMet) == [false, true])
        for index in 0..<2 { try await ceremony.sign(with: try old.signing(index)) }
        #expect(ceremony.isComplete)
        let skipping = try PendingMetadata(Holders.root(new.keys, version: 3), format: .tuf)
        #expect(throws: CeremonyError(.invalid, "")) { try SigningCeremony.root(skipping, after: trusted) }
    }

    @Test("One key under two ids counts once")
    func oneKeyTwice() async throws {
        let holders = try await Holders(1)
        let key = try #require(holders.keys.first)
        var json = try #require(Holders.root([key]).json(format: .tuf)["keys"]?[key.id.text]?.object)
        json["note"] = "another id"
        var object = try #require(Holders.root([key]).json(format: .tuf).object)
        let id = "00" + key.id.text.dropFirst(2)
        object["keys"] = .object([key.id.text: .object(json), id: .object(json)])
        let role: JSONValue = ["keyids": [.string(key.id.text), .string(id)], "threshold": 2]
        object["roles"] = ["root": role, "snapshot": role, "targets": role, "timestamp": role]
        let root = try Root(.object(object), format: .tuf)
        var ceremony = try SigningCeremony.root(try PendingMetadata(root, format: .tuf), after: nil)
        for listed in try root.keys(of: .root).keys {
            let signature = try await ceremony.metadata.signatures(of: try holders.signing(0)).first
            var copy = ceremony.metadata
            var renamed = try #require(signature)
            renamed.keyID = listed.id
            copy.add(renamed)
            try ceremony.merge(copy)
        }
        #expect(ceremony.progress.map(\.signed.count) == [2])
        #expect(!ceremony.isComplete)
    }

    @Test("It works on Notary's metadata")
    func notary() async throws {
        let keys = [PrivateKey.Algorithm.p256, .p256, .rsa(bits: 2048)]
        var privateKeys: [PrivateKey] = []
        for algorithm in keys { privateKeys.append(try await PrivateKey.generate(algorithm)) }
        let roleKeys = RoleKeys(role: .targets, keys: privateKeys.map(\.publicKey), threshold: 2)
        let targets = Targets(version: 4, expires: Expiry(Date(timeIntervalSince1970: 2_000_000_000)))
        let requirement = SigningCeremony.Requirement(authority: "root 1", keys: roleKeys)
        var ceremony = try SigningCeremony(
            try PendingMetadata(targets, format: .notary),
            role: .targets,
            requirements: [requirement]
        )
        try await ceremony.sign(with: [privateKeys[0]])
        var copy = try SigningCeremony(
            try PendingMetadata(try PendingMetadata(targets, format: .notary).bytes, format: .notary),
            role: .targets,
            requirements: [requirement]
        )
        try await copy.sign(with: [privateKeys[2]])
        #expect(!ceremony.isComplete)
        try ceremony.merge(copy.metadata)
        #expect(ceremony.isComplete)
        let verified: Verified<Targets> = try UnverifiedMetadata(ceremony.metadata.bytes, format: .notary)
            .verified(by: roleKeys)
        #expect(verified.payload.version == 4)
        await #expect(throws: CeremonyError(.foreignKey, "")) {
            try await ceremony.sign(with: [try await PrivateKey.generate(.p256)])
        }
    }
}
