// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TUF

struct PayloadTests {
    private static func rewrite(_ text: String, as type: (some Payload).Type) throws -> String {
        let payload = try type.init(try JSONParser.parse(Array(text.utf8)), format: .notary)
        return String(decoding: CanonicalJSON.encodeForWire(payload.json(format: .notary)), as: UTF8.self)
    }

    private static func rewrite(_ name: String, _ bytes: [UInt8]) throws -> [UInt8] {
        let metadata = try UnverifiedMetadata(bytes, format: .notary)
        func json<Content: Payload>(_ type: Content.Type) throws -> JSONValue {
            let payload: Content = try metadata.payload()
            return payload.json(format: .notary)
        }
        if name.contains("root") { return CanonicalJSON.encodeForWire(try json(Root.self)) }
        if name.contains("snapshot") { return CanonicalJSON.encodeForWire(try json(Snapshot.self)) }
        if name.contains("timestamp") { return CanonicalJSON.encodeForWire(try json(Timestamp.self)) }
        return CanonicalJSON.encodeForWire(try json(Targets.self))
    }

    @Test(
        "writes what Go wrote, byte for byte",
        arguments: [
            "1.root", "2.root", "3.root", "2.targets", "3.targets", "4.targets", "5.targets", "1.targets-releases",
            "1.targets-qa", "2.snapshot",
            "5.snapshot", "8.snapshot", "1.timestamp", "4.timestamp", "7.timestamp",
        ]
    )
    func vectors(_ name: String) throws {
        let bytes = try Fixture.vector(name)
        let range = try UnverifiedMetadata(bytes, format: .notary).signedRange
        #expect(try Self.rewrite(name, bytes) == Array(bytes[range]))
    }

    private static let head = #""expires":"2036-11-18T06:42:09Z""#
    private static let hash = Base64.encode([UInt8](repeating: 7, count: 32))
    private static let file = #"{"hashes":{"sha256":"\#(hash)"},"length":1}"#

    static let targets = [
        #"{"_type":"Targets","delegations":{"keys":{},"roles":[]},\#(head),"targets":{},"version":1}"#,
        #"{"_type":"Targets","delegations":{"keys":null,"roles":null},\#(head),"targets":null,"version":9007199254740992}"#,
        #"{"_type":"Targets","delegations":null,\#(head),"targets":{},"version":1}"#,
        #"{"_type":"Targets","a":{"b":[null]},"delegations":{"keys":{},"roles":[{"keyids":null,"name":"targets/a","threshold":1,"x":2}],"z":0},\#(head),"#
            + #""targets":{"":{"custom":null,"hashes":null,"length":0},"t":{"custom":[],"hashes":{"md4":"AA=="},"length":0,"x":"y"}},"version":1,"x":true}"#,
        #"{"_type":"Targets","delegations":{"keys":{},"roles":[{"keyids":[],"name":"targets/a/b-_9","paths":["","\u003cé"],"threshold":7}]},\#(head),"targets":{},"version":1}"#,
    ]

    @Test("keeps nulls and members that it does not know", arguments: targets)
    func unknownMembers(_ text: String) throws {
        #expect(try Self.rewrite(text, as: Targets.self) == text)
    }

    @Test("a role without delegations is written with empty ones, as Go does")
    func missingDelegations() throws {
        let text = #"{"_type":"Targets",\#(Self.head),"version":1}"#
        #expect(
            try Self.rewrite(text, as: Targets.self)
                == #"{"_type":"Targets","delegations":{"keys":{},"roles":[]},\#(Self.head),"targets":{},"version":1}"#
        )
    }

    @Test("an edited list is written in place of the null it was")
    func editedNull() throws {
        var targets = try Targets(try JSONParser.parse(Array(Self.targets[1].utf8)), format: .notary)
        targets.targets["a"] = Fixture.target("a")
        targets.delegations.roles = [Fixture.delegation("targets/a", to: [], paths: [])]
        let json = targets.json(format: .notary)
        #expect(json["targets"]?.object?.count == 1)
        #expect(json["delegations"]?["roles"]?.array?.count == 1)
        #expect(json["delegations"]?["keys"] == .null)
    }

    static let refusedTargets = [
        "[]", "null", "{}", #"{"_type":"targets",\#(head),"version":1}"#, #"{"_type":"Targets","version":1}"#,
        #"{"_type":"Targets",\#(head)}"#,
        #"{"_type":"Targets",\#(head),"version":0}"#, #"{"_type":"Targets",\#(head),"version":-1}"#,
        #"{"_type":"Targets",\#(head),"version":"1"}"#,
        #"{"_type":"Targets","expires":1,"version":1}"#, #"{"_type":"Targets",\#(head),"version":1,"targets":[]}"#,
        #"{"_type":"Targets",\#(head),"version":1,"targets":{"a":1}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"targets":{"a":{"hashes":{},"length":-1}}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"targets":{"a":{"hashes":{"sha256":"00zz"},"length":"1"}}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"targets":{"a":{"hashes":{"sha256":"!"},"length":1}}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"delegations":[]}"#,
        #"{"_type":"Targets",\#(head),"version":1,"delegations":{"roles":{}}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"delegations":{"keys":{"a":{"keytype":"ecdsa","keyval":{"public":"?"}}}}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"delegations":{"keys":{"a":{"keytype":"ecdsa"}}}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"delegations":{"roles":[{"name":"targets/a","keyids":[],"threshold":0}]}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"delegations":{"roles":[{"name":"targets/a","keyids":[1],"threshold":1}]}}"#,
        #"{"_type":"Targets",\#(head),"version":1,"delegations":{"roles":[{"name":"targets/a","threshold":1},{"name":"targets/a","threshold":1}]}}"#,
    ]

    @Test("refuses targets of another shape", arguments: refusedTargets)
    func refusesTargets(_ text: String) {
        #expect(throws: TUFError.self) { try Self.rewrite(text, as: Targets.self) }
    }

    @Test(
        "takes the names of Notary's delegated roles and no others",
        arguments: [
            ("targets/a", true), ("targets/a/b-_9", true), ("targets/\(String(repeating: "a", count: 247))", true),
            ("targets/\(String(repeating: "a", count: 248))", false), ("targets/A", false), ("targets/a.b", false),
            ("targets//a", false),
            ("targets/", false), ("targets", false), ("targets/a/", false), ("targets/..", false),
            ("/targets/a", false), ("root/a", false),
            ("targets/é", false), ("targets/a\u{301}", false), ("Targets/a", false), ("", false), ("targets/*", false),
            ("targets/a\0", false),
        ]
    )
    func names(_ name: String, _ isValid: Bool) throws {
        #expect(((try? RoleName(notaryDelegation: name)) != nil) == isValid)
        let json = String(decoding: CanonicalJSON.encodeForWire(.string(name)), as: UTF8.self)
        let roles = #"[{"name":\#(json),"threshold":1}]"#
        let text = #"{"_type":"Targets",\#(Self.head),"version":1,"delegations":{"roles":\#(roles)}}"#
        #expect(((try? Self.rewrite(text, as: Targets.self)) != nil) == isValid)
    }

    @Test(
        "a snapshot lists root and targets with hashes of the right length",
        arguments: [
            (#"{"root":\#(file),"targets":\#(file)}"#, true),
            (#"{"root":\#(file),"targets":\#(file),"targets/a":\#(file)}"#, true),
            (#"{"root":\#(file)}"#, false), (#"{"targets":\#(file)}"#, false), ("{}", false), ("null", false),
            (#"{"root":\#(file),"targets":{"hashes":{},"length":1}}"#, false),
            (#"{"root":\#(file),"targets":{"hashes":null,"length":1}}"#, false),
            (#"{"root":\#(file),"targets":{"hashes":{"sha512":"AA=="},"length":1}}"#, false),
            (#"{"root":\#(file),"targets":{"hashes":{"sha256":"AA=="},"length":1}}"#, false),
            (#"{"root":\#(file),"targets":{"hashes":{"sha256":"\#(hash)","sha512":"AA=="},"length":1}}"#, false),
            (#"{"root":\#(file),"targets":{"hashes":{"sha256":"\#(hash)"},"length":-1}}"#, false),
            (#"{"root":\#(file),"targets":{"hashes":{"sha256":"\#(hash)"}}}"#, false),
        ]
    )
    func snapshot(_ meta: String, _ isValid: Bool) {
        let text = #"{"_type":"Snapshot",\#(Self.head),"meta":\#(meta),"version":1}"#
        #expect(((try? Self.rewrite(text, as: Snapshot.self)) == text) == isValid)
        let timestamp = #"{"_type":"Timestamp",\#(Self.head),"meta":\#(meta),"version":1}"#
        #expect(throws: TUFError.self) { try Self.rewrite(timestamp, as: Timestamp.self) }
    }

    @Test(
        "a root defines four roles, with keys that it lists",
        arguments: [
            (#""root":R,"snapshot":R,"targets":R,"timestamp":R"#, true),
            (#""root":R,"snapshot":R,"targets":R,"timestamp":R,"x":R"#, true),
            (#""root":R,"snapshot":R,"targets":R"#, false), (#""snapshot":R,"targets":R,"timestamp":R"#, false),
            ("", false),
            (#""root":{"keyids":["b"],"threshold":1},"snapshot":R,"targets":R,"timestamp":R"#, false),
            (#""root":{"keyids":["a"],"threshold":0},"snapshot":R,"targets":R,"timestamp":R"#, false),
            (#""root":{"keyids":["a"],"threshold":-1},"snapshot":R,"targets":R,"timestamp":R"#, false),
            (#""root":{"keyids":["a"]},"snapshot":R,"targets":R,"timestamp":R"#, false),
        ]
    )
    func root(_ roles: String, _ isValid: Bool) {
        let key = #"{"keytype":"ecdsa","keyval":{"private":null,"public":"AAAA"}}"#
        let text =
            #"{"_type":"Root","consistent_snapshot":false,\#(Self.head),"keys":{"a":\#(key)},"roles":{\#(roles)},"version":1}"#
            .replacing("R,", with: #"{"keyids":["a"],"threshold":1},"#).replacing(
                "R}",
                with: #"{"keyids":["a"],"threshold":1}}"#
            )
        #expect(((try? Self.rewrite(text, as: Root.self)) == text) == isValid)
        let wrong = text.replacing(#""consistent_snapshot":false"#, with: #""consistent_snapshot":1"#)
        #expect(throws: TUFError.self) { try Self.rewrite(wrong, as: Root.self) }
    }

    @Test("content is checked against every known hash, and there must be one")
    func hashes() throws {
        let content: [UInt8] = [1, 2, 3]
        let good = Hashes(of: content)
        try good.verify(content, format: .notary)
        #expect(throws: TUFError(.mismatch, "")) { try good.verify([1, 2], format: .notary) }
        for name in ["sha256", "sha512"] {
            var bad = good
            bad.digests[name]?[0] ^= 1
            #expect(throws: TUFError(.mismatch, "")) { try bad.verify(content, format: .notary) }
            bad.digests[name] = []
            #expect(throws: TUFError(.mismatch, "")) { try bad.verify(content, format: .notary) }
        }
        #expect(throws: TUFError(.mismatch, "")) { try Hashes([:]).verify(content, format: .notary) }
        #expect(throws: TUFError(.mismatch, "")) { try Hashes(["md5": [1]]).verify(content, format: .notary) }
        try Hashes(["md5": [1], "sha256": good.sha256 ?? []]).verify(content, format: .notary)
        let file = FileMetadata(of: content)
        #expect(throws: TUFError(.tooLarge, "")) { try file.verify([1, 2, 3, 4], role: .targets, format: .notary) }
        #expect(throws: TUFError(.mismatch, "")) { try file.verify([1, 2], role: .targets, format: .notary) }
        #expect(throws: TUFError(.mismatch, "")) { try file.verify([1, 2, 4], role: .targets, format: .notary) }
    }
}
