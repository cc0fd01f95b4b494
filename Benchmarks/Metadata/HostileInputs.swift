// SPDX-License-Identifier: Apache-2.0

import Crypto
import TUF

/// Metadata of one size that is made to cost as much as it can, some of it signed by a key that counts.
struct HostileInputs {
    struct Input {
        let name: String
        let role: RoleName
        let bytes: [UInt8]
    }

    private let key: Ed25519Key
    /// About how many bytes each has.
    private let size: Int
    private let keyID: KeyID
    private(set) var inputs: [Input] = []

    init(key: Ed25519Key, size: Int) async throws {
        self.key = key
        self.size = size
        self.keyID = try key.publicKey.spelled(in: .tuf).id
        try await self.addSigned()
        self.addUnsigned()
    }

    /// The same size with nothing wrong: what the others are compared with.
    func valid() async throws -> [UInt8] {
        let targets = self.repeated {
            "\"packages/\(Self.padded($0))\":{\"hashes\":{\"sha256\":\"\(Self.digest)\"},\"length\":1}"
        }
        return try await self.signed(Self.role("targets", "\"targets\":{\(targets)}"))
    }

    // MARK: - Signed, so that all of it is read

    private mutating func addSigned() async throws {
        func add(_ name: String, _ type: String, _ members: String) async throws {
            let bytes = try await self.signed(Self.role(type, members))
            self.inputs.append(Input(name: name, role: RoleName(type), bytes: bytes))
        }
        let target = "{\"hashes\":{\"sha256\":\"\(Self.digest)\"},\"length\":1}"
        try await add(
            "targets in reverse order",
            "targets",
            "\"targets\":{\(self.repeated { "\"packages/\(Self.padded(99_999 - $0))\":\(target)" })}"
        )
        try await add(
            "escaped paths",
            "targets",
            "\"targets\":{\(self.repeated { "\"\(String(repeating: "\\u0041", count: 20))\(Self.padded($0))\":\(target)" })}"
        )
        try await add(
            "many tiny hashes",
            "targets",
            "\"targets\":{\"a\":{\"hashes\":{\(self.repeated { "\"\($0)\":\"00\"" })},\"length\":1}}"
        )
        try await add("unknown members", "timestamp", self.repeated { "\"x\(Self.padded($0))\":{}" })
        try await add(
            "deep custom",
            "targets",
            "\"targets\":{\"a\":{\"custom\":[\(self.repeated { _ in Self.nested(50) })]}}"
        )
        try await add(
            "bins",
            "snapshot",
            "\"meta\":{\(self.repeated { "\"\(Self.padded($0)).json\":{\"version\":1}" })}"
        )
        let keys = self.repeated {
            "\"\(Self.padded($0))\":{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"\(Self.digest)\"},\"scheme\":\"ed25519\"}"
        }
        try await add("keys of a root", "root", "\"keys\":{\(keys)},\"roles\":{}")
        try await add(
            "key ids of a role",
            "root",
            "\"keys\":{},\"roles\":{\"root\":{\"keyids\":[\(self.repeated { "\"\($0)\"" })],\"threshold\":1}}"
        )
        try await add(
            "delegations",
            "targets",
            "\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[\(self.repeated { Self.delegation(Self.padded($0), ["*"]) })]}"
        )
        let paths = (0..<(self.size / 25)).map { "a*a*a*a*a*a*\($0)" }
        try await add(
            "patterns",
            "targets",
            "\"targets\":{},\"delegations\":{\"keys\":{},\"roles\":[\(Self.delegation("a", paths))]}"
        )
    }

    private static func delegation(_ name: String, _ paths: [String]) -> String {
        "{\"keyids\":[],\"name\":\"\(name)\",\"paths\":[\(paths.map { "\"\($0)\"" }.joined(separator: ","))],"
            + "\"terminating\":false,\"threshold\":1}"
    }

    // MARK: - Not signed, so that it is refused

    private mutating func addUnsigned() {
        func add(_ name: String, _ text: String) {
            self.inputs.append(Input(name: name, role: .targets, bytes: Array(text.utf8)))
        }
        let many = self.size / 2
        add("open brackets", String(repeating: "[", count: self.size))
        add("nested objects", String(repeating: "{\"a\":", count: self.size / 5))
        add("blanks", "{\"signed\":{}" + String(repeating: " ", count: self.size) + ",\"signatures\":[]}")
        add("digits", "{\"signed\":{\"version\":" + String(repeating: "9", count: self.size) + "},\"signatures\":[]}")
        add(
            "escapes",
            "{\"signed\":{\"a\":\"" + String(repeating: "\\u0000", count: self.size / 6) + "\"},\"signatures\":[]}"
        )
        add(
            "surrogates",
            "{\"signed\":{\"a\":\"" + String(repeating: "\\ud83d", count: self.size / 6) + "\"},\"signatures\":[]}"
        )
        add("one name again and again", "{\"signed\":{" + self.repeated { _ in "\"a\":0" } + "},\"signatures\":[]}")
        add("numbers", "{\"signed\":{\"a\":[" + String(repeating: "0,", count: many) + "0]},\"signatures\":[]}")
        add("empty objects", "{\"signed\":{\"a\":[" + self.repeated { _ in "{}" } + "]},\"signatures\":[]}")
        let id = self.keyID
        add(
            "wrong signatures of one key",
            "{\"signed\":\(Self.role("targets", "\"targets\":{}")),\"signatures\":["
                + self.repeated { _ in "{\"keyid\":\"\(id)\",\"sig\":\"\(Self.digest)\(Self.digest)\"}" } + "]}"
        )
        add(
            "signatures of strangers",
            "{\"signed\":\(Self.role("targets", "\"targets\":{}")),\"signatures\":["
                + self.repeated { "{\"keyid\":\"\(Self.padded($0))\",\"sig\":\"00\"}" } + "]}"
        )
    }

    // MARK: - Pieces

    private static let digest = String(repeating: "0", count: 64)

    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }

    private static func nested(_ depth: Int) -> String {
        String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }

    /// Pieces with commas between them, as many as make the size.
    private func repeated(_ piece: (Int) -> String) -> String {
        var pieces: [String] = []
        var size = 0
        while size < self.size {
            pieces.append(piece(pieces.count))
            size += (pieces.last?.utf8.count ?? 0) + 1
        }
        return pieces.joined(separator: ",")
    }

    private static func role(_ type: String, _ members: String) -> String {
        "{\"_type\":\"\(type)\",\"spec_version\":\"1.0.31\",\"version\":1,\"expires\":\"2040-01-01T00:00:00Z\",\(members)}"
    }

    private func signed(_ text: String) async throws -> [UInt8] {
        let message = CanonicalJSON.encode(try JSONParser.parse(Array(text.utf8)))
        let signature = Hexadecimal.encode(try await self.key.sign(message).bytes)
        let tail = ",\"signatures\":[{\"keyid\":\"\(self.keyID)\",\"sig\":\"\(signature)\"}]}"
        return Array("{\"signed\":\(text)\(tail)".utf8)
    }
}
