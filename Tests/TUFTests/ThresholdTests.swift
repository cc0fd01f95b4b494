// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Testing
import X509

@testable import TUF

struct ThresholdTests {
    private func metadata(by keys: [TestKey], duplicate: Int = 1) throws -> UnverifiedMetadata {
        try UnverifiedMetadata(
            try Fixture.file(#"{"_type":"Timestamp"}"#, by: Array(repeatElement(keys, count: duplicate).joined())),
            format: .notary
        )
    }

    private func isMet(_ metadata: UnverifiedMetadata, by keys: [TestKey], _ threshold: Int) throws -> Bool {
        do {
            let signers = try RoleKeys(role: .timestamp, keys: keys.map(\.publicKey), threshold: threshold).verify(
                metadata
            )
            return Set(signers).count == threshold
        } catch let error as TUFError where error.code == .thresholdNotMet {
            return false
        }
    }

    @Test("counts distinct keys")
    func distinct() throws {
        let keys = (0..<3).map { _ in TestKey() }
        let all = try self.metadata(by: keys)
        for threshold in 1...3 { #expect(try self.isMet(all, by: keys, threshold)) }
        #expect(try !self.isMet(all, by: keys, 4))
        #expect(try !self.isMet(all, by: [keys[0], TestKey()], 2))
        #expect(try !self.isMet(all, by: [], 1))
    }

    @Test("counts a key once, however often it signs and is listed")
    func duplicates() throws {
        let key = TestKey()
        #expect(try !self.isMet(try self.metadata(by: [key], duplicate: 5), by: [key], 2))
        #expect(try !self.isMet(try self.metadata(by: [key], duplicate: 5), by: [key, key], 2))
        let id = key.publicKey.id
        let keys: ByteOrderedMap = [id.text: key.publicKey]
        let listedTwice = RoleKeys(
            role: .timestamp,
            definition: RoleDefinition(keyIDs: [id, id], threshold: 2),
            keys: keys
        )
        #expect(throws: TUFError(.thresholdNotMet, "")) {
            try listedTwice.verify(try self.metadata(by: [key], duplicate: 2))
        }
    }

    @Test("counts a key once under several certificates, or a certificate and its own name")
    func certificates() throws {
        let key = P256.Signing.PrivateKey()
        let bare = TestKey(.p256(key))
        let certified = try (0..<2).map { _ in
            bare.named(
                try PublicKey.rootCertificate(for: Fixture.gun, signedBy: Certificate.PrivateKey(key), at: Fixture.now)
            )
        }
        #expect(certified[0].publicKey.id != certified[1].publicKey.id)
        let names = certified + [bare]
        let metadata = try self.metadata(by: names)
        #expect(try self.isMet(metadata, by: names, 1))
        #expect(try !self.isMet(metadata, by: names, 2))
        let other = TestKey()
        #expect(try self.isMet(try self.metadata(by: names + [other]), by: names + [other], 2))
    }

    @Test("a key listed under an id that is not its own cannot sign")
    func foreignID() throws {
        let key = TestKey()
        let id = KeyID(String(repeating: "a", count: 64))
        let bytes = try Fixture.file(#"{"_type":"Timestamp"}"#, by: [key])
        let renamed = String(decoding: bytes, as: UTF8.self).replacingOccurrences(
            of: key.publicKey.id.text,
            with: id.text
        )
        let keys = RoleKeys(role: .timestamp, definition: RoleDefinition(keyIDs: [id]), keys: [id.text: key.publicKey])
        #expect(keys.keys.isEmpty)
        #expect(throws: TUFError(.thresholdNotMet, "")) {
            try keys.verify(try UnverifiedMetadata(Array(renamed.utf8), format: .notary))
        }
    }

    @Test("a bad signature, even of the same key, does not spoil the good ones")
    func badSignatures() throws {
        let (good, other) = (TestKey(), TestKey())
        let stray = other.named(good.publicKey)
        #expect(try self.isMet(try self.metadata(by: [stray, good, other]), by: [good, other], 2))
        #expect(try !self.isMet(try self.metadata(by: [stray]), by: [good], 1))
    }

    @Test("tries a bounded number of signatures for each key")
    func manySignatures() throws {
        let (good, other) = (TestKey(), TestKey())
        let flood = Array(repeating: other.named(good.publicKey), count: 1000)
        #expect(try !self.isMet(try self.metadata(by: flood + [good]), by: [good], 1))
        #expect(throws: TUFError(.tooLarge, "")) { try self.metadata(by: [good], duplicate: 1025) }
    }

    @Test("a threshold below 1 is met by nothing", arguments: [0, -1, Int.min])
    func noThreshold(_ threshold: Int) throws {
        let key = TestKey()
        let metadata = try self.metadata(by: [key])
        #expect(throws: TUFError(.invalid, "")) {
            try RoleKeys(role: .timestamp, keys: [key.publicKey], threshold: threshold).verify(metadata)
        }
    }

    @Test("adding a signature keeps the others and every byte that they signed")
    func adding() async throws {
        let (first, second) = (TestKey(), TestKey())
        // Members in another order, white space, an unknown member, a private part: nothing that we would write.
        let text = #"{ "version":1, "_type":"Targets","targets":null,"x":[1.0],"expires":"2036-11-18T06:42:09Z" }"#
        let bytes = try Fixture.file(text, by: [first])
        let keys = RoleKeys(role: .targets, keys: [first.publicKey, second.publicKey], threshold: 1)
        let one: Verified<Targets> = try UnverifiedMetadata(bytes, format: .notary).verified(by: keys)
        let two = try await one.adding(signaturesOf: [second], format: .notary)
        let again = try await two.adding(signaturesOf: [second], format: .notary)
        for file in [two, again] {
            #expect(file.signatures.count == 2)
            #expect(String(decoding: file.bytes, as: UTF8.self).hasPrefix(#"{"signed":\#(text),"signatures":["#))
            try RoleKeys(role: .targets, keys: keys.keys, threshold: 2).verify(
                try UnverifiedMetadata(file.bytes, format: .notary)
            )
        }
    }

    @Test("nothing is published without a signature that verifies")
    func signing() async throws {
        let (key, other) = (TestKey(), TestKey())
        await #expect(throws: TUFError(.thresholdNotMet, "")) {
            try await Fixture.targets().signed(by: [], format: .notary)
        }
        await #expect(throws: TUFError(.thresholdNotMet, "")) {
            try await Fixture.targets().signed(by: [key, other.named(key.publicKey)], format: .notary)
        }
        let file = try await Fixture.targets(3, ["a"]).signed(by: [key, other], format: .notary)
        let read: Verified<Targets> = try UnverifiedMetadata(file.bytes, format: .notary)
            .verified(by: RoleKeys(role: .targets, keys: [key.publicKey, other.publicKey], threshold: 2))
        #expect(read.payload == file.payload)
        #expect(read.message.bytes == file.message.bytes)
    }
}
