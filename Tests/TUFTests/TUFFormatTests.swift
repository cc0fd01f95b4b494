// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import Testing

@testable import TUF

/// What TUF 1.0's byte form demands of one file.
struct TUFFormatTests {
    private static let targets = #"""
        {"_type":"targets","spec_version":"1.0.34","version":3,"expires":"2030-01-31T12:00:00Z","targets":{"a/b":{"length":1,
        "hashes":{"sha256":"00ff"},"custom":{"x":[1]},"later":true}},"new":"field"}
        """#

    private static func payload<Content: Payload>(_ text: String) throws -> Content {
        try Content(try JSONParser.parse(Array(text.utf8)), format: .tuf)
    }

    private static func code<Content: Payload>(_ text: String, _: Content.Type) -> TUFError.Code? {
        do {
            _ = try Self.payload(text) as Content
            return nil
        } catch {
            return (error as? TUFError)?.code
        }
    }

    @Test("unknown members survive at every level")
    func unknownMembers() throws {
        let key = #"{"keytype":"sigstore-oidc","scheme":"Fulcio","keyval":{"identity":"me","issuer":"them"},"z":1}"#
        let texts: [(String, any Payload.Type)] = [
            (Self.targets, Targets.self),
            (
                #"""
                {"_type":"targets","spec_version":"1.0","version":1,"expires":"2030-01-31T12:00:00Z","targets":{},
                "delegations":{"keys":{"k":\#(key)},"roles":[{"name":"r","keyids":["k"],"threshold":1,"terminating":false,
                "paths":["*"],"q":2},{"name":"s","keyids":[],"threshold":2,"terminating":true,"path_hash_prefixes":["0a"]}],
                "w":[]}}
                """#, Targets.self
            ),
            (
                #"""
                {"_type":"targets","spec_version":"1.0","version":1,"expires":"2030-01-31T12:00:00Z","targets":{},
                "delegations":{"keys":{},"succinct_roles":{"keyids":["k"],"threshold":1,"bit_length":11,"name_prefix":"b","o":1}}}
                """#, Targets.self
            ),
            (
                #"""
                {"_type":"root","spec_version":"1.0.34","version":1,"expires":"2030-01-31T12:00:00Z","consistent_snapshot":true,
                "keys":{"k":\#(key)},"roles":{"root":{"keyids":["k"],"threshold":1,"x":1},"targets":{"keyids":[],"threshold":1},
                "snapshot":{"keyids":[],"threshold":1},"timestamp":{"keyids":[],"threshold":1},
                "mirrors":{"keyids":[],"threshold":1}},"custom":null}
                """#, Root.self
            ),
            (
                #"""
                {"_type":"snapshot","spec_version":"1.0","version":1,"expires":"2030-01-31T12:00:00Z","meta":{"targets.json":
                {"version":1},"a/b.json":{"version":2,"length":0,"hashes":{"sha256":"aa"},"n":{}}},"y":1}
                """#, Snapshot.self
            ),
            (
                #"""
                {"_type":"timestamp","spec_version":"1.0","version":1,"expires":"2030-01-31T12:00:00Z","meta":{"snapshot.json":
                {"version":1,"x":1}},"y":1}
                """#, Timestamp.self
            ),
        ]
        for (text, type) in texts {
            let value = try JSONParser.parse(Array(text.utf8))
            #expect(try type.init(value, format: .tuf).json(format: .tuf) == value)
        }
    }

    @Test("a snapshot lists roles by their raw names")
    func rawNames() throws {
        let snapshot: Snapshot = try Self.payload(
            #"""
            {"_type":"snapshot","spec_version":"1.0.0","version":1,"expires":"2030-01-31T12:00:00Z","meta":
            {"targets.json":{"version":1},"../x?.json":{"version":7},"a.json":{"version":2},"a-b.json":{"version":3}}}
            """#
        )
        #expect(snapshot[RoleName("../x?")]?.version == 7)
        #expect(snapshot[RoleName("a")]?.version == 2)
        #expect(snapshot[RoleName("a-b")]?.version == 3)
    }

    @Test(
        "takes versions 1.x of the specification and no other",
        arguments: [
            ("1.0", true), ("1.0.34", true), ("1.99.0", true), ("2.0.0", false), ("0.9", false), ("1", false),
            ("1.0.0.1", false),
            ("1.x", false), ("1.", false), ("1.0.0-rc", false), ("", false), ("01.0", false),
        ]
    )
    func specificationVersion(_ version: String, _ isTaken: Bool) {
        let text = Self.targets.replacing("1.0.34", with: version)
        #expect((Self.code(text, Targets.self) == nil) == isTaken)
    }

    @Test(
        "an expiry has neither a fraction nor an offset",
        arguments: [
            "2030-01-31T12:00:00.5Z", "2030-01-31T12:00:00+00:00", "2030-01-31 12:00:00Z", "2030-02-31T12:00:00Z",
            "2030-01-31T12:00:00",
        ]
    )
    func expiryForm(_ text: String) {
        #expect(Self.code(Self.targets.replacing("2030-01-31T12:00:00Z", with: text), Targets.self) == .malformed)
    }

    @Test(
        "refuses what the format forbids",
        arguments: [
            (#""version":3"#, #""version":0"#), (#""version":3"#, #""version":-1"#),
            (#""version":3"#, #""version":"3""#),
            (#""version":3"#, #""version":true"#), (#""version":3"#, #""version":9223372036854775808"#),
            (#""_type":"targets""#, #""_type":"Targets""#), (#""length":1"#, #""length":-1"#),
            (#""length":1"#, #""length":1.5"#),
            (#"{"sha256":"00ff"}"#, "{}"), (#"{"sha256":"00ff"}"#, "null"), (#""00ff""#, #""0g""#),
            (#""00ff""#, #""AP8=""#),
            (#""new":"field""#, #""delegations":{}"#), (#""new":"field""#, #""delegations":null"#),
            (#""new":"field""#, #""delegations":{"keys":{}}"#),
            (#""new":"field""#, #""version":3"#), (#""new":"field""#, #""delegations":{"keys":[],"roles":[]}"#),
        ]
    )
    func malformed(_ part: String, _ replacement: String) {
        #expect(Self.code(Self.targets.replacing(part, with: replacement), Targets.self) != nil)
    }

    private static func delegation(_ text: String) -> String {
        Self.targets.replacing(#""new":"field""#, with: #""delegations":{"keys":{},\#(text)}"#)
    }

    @Test(
        "a delegation has either paths or prefixes of hashes, and says whether it terminates",
        arguments: [
            (#""keyids":[],"threshold":1,"terminating":false,"paths":[]"#, true),
            (#""keyids":[],"threshold":1,"terminating":true,"path_hash_prefixes":["00"]"#, true),
            (#""keyids":[],"threshold":1,"terminating":true"#, false),
            (#""keyids":[],"threshold":1,"terminating":true,"paths":[],"path_hash_prefixes":[]"#, false),
            (#""keyids":[],"threshold":1,"paths":[]"#, false),
            (#""keyids":[],"threshold":1,"terminating":0,"paths":[]"#, false),
            (#""keyids":[],"threshold":0,"terminating":true,"paths":[]"#, false),
            (#""keyids":["a","a"],"threshold":1,"terminating":true,"paths":[]"#, false),
            (#""threshold":1,"terminating":true,"paths":[]"#, false),
        ]
    )
    func delegations(_ members: String, _ isTaken: Bool) {
        let code = Self.code(Self.delegation(#""roles":[{"name":"r",\#(members)}]"#), Targets.self)
        #expect((code == nil) == isTaken)
    }

    @Test("a delegated role has a name of its own", arguments: ["root", "targets", "snapshot", "timestamp", ""])
    func delegatedNames(_ name: String) {
        let role = #"{"name":"\#(name)","keyids":[],"threshold":1,"terminating":true,"paths":[]}"#
        #expect(Self.code(Self.delegation(#""roles":[\#(role)]"#), Targets.self) == .invalid)
        let twice = role.replacing(#""name":"\#(name)""#, with: #""name":"r""#)
        #expect(Self.code(Self.delegation(#""roles":[\#(twice),\#(twice)]"#), Targets.self) == .invalid)
    }

    @Test(
        "succinct roles go with no others, and have 1 to 32 bits",
        arguments: [
            (1, true), (32, true), (0, false), (33, false), (-1, false),
        ]
    )
    func succinctBits(_ bits: Int, _ isTaken: Bool) {
        let succinct = #""succinct_roles":{"keyids":[],"threshold":1,"bit_length":\#(bits),"name_prefix":"b"}"#
        #expect((Self.code(Self.delegation(succinct), Targets.self) == nil) == isTaken)
        #expect(Self.code(Self.delegation(#""roles":[],"# + succinct), Targets.self) == .invalid)
    }

    @Test("a timestamp lists the snapshot and nothing else")
    func timestampMeta() {
        let text = #"""
            {"_type":"timestamp","spec_version":"1.0","version":1,"expires":"2030-01-31T12:00:00Z","meta":{"snapshot.json":
            {"version":1}}}
            """#
        #expect(Self.code(text, Timestamp.self) == nil)
        #expect(Self.code(text.replacing("snapshot.json", with: "snapshot"), Timestamp.self) == .invalid)
        #expect(
            Self.code(text.replacing(#""meta":{"#, with: #""meta":{"root.json":{"version":1},"#), Timestamp.self)
                == .invalid
        )
        #expect(Self.code(text.replacing(#"{"version":1}"#, with: #"{"length":1}"#), Timestamp.self) == .malformed)
    }

    @Test("one key may have one signature")
    func duplicateSignatures() throws {
        let envelope = { (signatures: String) in
            try UnverifiedMetadata(Array(#"{"signed":{},"signatures":[\#(signatures)]}"#.utf8), format: .tuf)
        }
        let signature = #"{"keyid":"a","sig":"00"}"#
        #expect(try envelope(signature).signatures.count == 1)
        #expect(throws: TUFError(.invalid, "")) { try envelope("\(signature),\(signature)") }
        // What is no signature is a wrong one, and no reason to refuse the others.
        #expect(try envelope(#"{"keyid":"a","sig":"zz"},{"keyid":"b","sig":""}"#).signatures.map(\.bytes) == [[], []])
        #expect(throws: TUFError(.malformed, "")) { try envelope(#"{"keyid":"a"}"#) }
    }

    @Test("content must match every listed hash, and none may be of an unknown algorithm")
    func hashes() throws {
        let content = Array("content".utf8)
        var hashes = Hashes(of: content)
        try hashes.verify(content, format: .tuf)
        hashes.digests["blake2b-256"] = [1]
        #expect(throws: TUFError(.mismatch, "")) { try hashes.verify(content, format: .tuf) }
        try hashes.verify(content, format: .notary)
        hashes.digests = ["sha256": Hashes(of: content).sha256 ?? [], "sha512": [1]]
        #expect(throws: TUFError(.mismatch, "")) { try hashes.verify(content, format: .tuf) }
    }

    @Test("signs and verifies with every standard scheme")
    func schemes() async throws {
        let rsa = TestKey(.rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048), pss: true))
        let keys: [(TestKey, SignatureScheme)] = [
            (TestKey(.p256(P256.Signing.PrivateKey())), .ecdsaP256),
            (TestKey(.p384(P384.Signing.PrivateKey())), .ecdsaP384),
            (TestKey(.ed25519(Curve25519.Signing.PrivateKey())), .ed25519), (rsa, .rsaPSS),
        ]
        for (key, scheme) in keys {
            let publicKey = try key.publicKey.spelled(in: .tuf)
            #expect(publicKey.scheme == scheme)
            let signed = try await Targets(version: 1, expires: Fixture.soon).signed(by: [key], format: .tuf)
            let roleKeys = RoleKeys(role: .targets, keys: [publicKey], threshold: 1)
            let metadata = try UnverifiedMetadata(signed.bytes, format: .tuf)
            #expect(try metadata.verified(as: Targets.self, by: roleKeys).payload.version == 1)
            #expect(try publicKey.spelled(in: .notary) == key.publicKey)
            #expect(try publicKey.canonicalID == key.publicKey.id)

            var broken = try #require(metadata.signatures.first)
            let last = broken.bytes.count - 1
            broken.bytes[last] ^= 1
            #expect(!publicKey.isValid(broken, for: Array(metadata.message.bytes)))
            // A method of Notary's is none of the key's scheme.
            let other = Signature(keyID: publicKey.id, method: .ecdsa, bytes: metadata.signatures[0].bytes)
            #expect(!publicKey.isValid(other, for: Array(metadata.message.bytes)))
        }
        await #expect(throws: TUFError(.invalidKey, "")) {
            _ = try await Targets(version: 1, expires: Fixture.soon)
                .signed(by: [TestKey(.p521(P521.Signing.PrivateKey()))], format: .tuf)
        }
    }

    @Test("reads the keys of old files, and none whose type and scheme do not go together")
    func oldKeys() async throws {
        let key = P256.Signing.PrivateKey()
        let signed = try await Targets(version: 1, expires: Fixture.soon).signed(
            by: [TestKey(.p256(key))],
            format: .tuf
        )
        let metadata = try UnverifiedMetadata(signed.bytes, format: .tuf)
        let id = try #require(metadata.signatures.first?.keyID)
        let point = Hexadecimal.encode(key.publicKey.x963Representation)
        let cases: [(String, String, String, Bool)] = [
            ("ecdsa", "ecdsa-sha2-nistp256", key.publicKey.pemRepresentation, true),
            ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", key.publicKey.pemRepresentation, true),
            ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", point, true),
            ("ecdsa", "ecdsa-sha2-nistp384", key.publicKey.pemRepresentation, false),
            ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp256", key.publicKey.pemRepresentation, false),
            ("rsa", "ecdsa-sha2-nistp256", key.publicKey.pemRepresentation, false),
            ("rsa", "rsassa-pss-sha256", key.publicKey.pemRepresentation, false),
            ("ed25519", "ed25519", point, false), ("ecdsa", "ecdsa-sha2-nistp256", "", false),
            ("later", "later", point, false),
        ]
        for (type, scheme, text, isValid) in cases {
            let object: JSONValue = [
                "keytype": .string(type), "scheme": .string(scheme), "keyval": ["public": .string(text)],
            ]
            let keys = RoleKeys(role: .targets, keys: [try TUFWire.key(object, listedAs: id)], threshold: 1)
            #expect(((try? keys.verify(metadata)) != nil) == isValid, "\(type) \(scheme)")
        }
    }

    @Test("a key counts once, under however many ids it is listed")
    func oneKeyTwoIDs() async throws {
        let key = TestKey()
        let publicKey = try key.publicKey.spelled(in: .tuf)
        let object = try #require(publicKey.object)
        let other = PublicKey(
            type: publicKey.type,
            scheme: .ecdsaP256,
            bytes: publicKey.bytes,
            object: object,
            id: KeyID("another")
        )
        let signed = try await Targets(version: 1, expires: Fixture.soon)
            .signed(by: [key.named(publicKey), key.named(other)], format: .tuf)
        #expect(signed.signatures.count == 2)
        let metadata = try UnverifiedMetadata(signed.bytes, format: .tuf)
        let verify = { (threshold: Int) in
            try RoleKeys(role: .targets, keys: [publicKey, other], threshold: threshold).verify(metadata)
        }
        #expect(try verify(1).count == 1)
        #expect(throws: TUFError(.thresholdNotMet, "")) { try verify(2) }
    }

    @Test("a second signer changes no byte of what the first has signed")
    func addingSignatures() async throws {
        let (first, second) = (TestKey(), TestKey(.ed25519(Curve25519.Signing.PrivateKey())))
        let signed = try await Targets(version: 1, expires: Fixture.soon).signed(by: [first], format: .tuf)
        let both = try await signed.adding(signaturesOf: [second], format: .tuf)
        let keys = try [first, second].map { try $0.publicKey.spelled(in: .tuf) }
        let metadata = try UnverifiedMetadata(both.bytes, format: .tuf)
        #expect(try RoleKeys(role: .targets, keys: keys, threshold: 2).verify(metadata).count == 2)
    }
}
