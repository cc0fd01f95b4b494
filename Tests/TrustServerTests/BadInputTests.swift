// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Hostile input")
struct BadInputTests {
    private static func part(_ disposition: String, _ content: String = "{}") -> String {
        "--b\r\nContent-Disposition: \(disposition)\r\n\r\n\(content)\r\n"
    }

    private static func file(_ name: String, _ content: String) -> String {
        Self.part("form-data; name=\"files\"; filename=\"\(name)\"", content) + "--b--\r\n"
    }

    private func post(
        _ body: String,
        contentType: String? = "multipart/form-data; boundary=b"
    ) async throws -> TestReply {
        var reply: TestReply?
        try await TestServer.with {
            $0.uploadLimit = 1 << 20
        } _: { server in
            reply = try await server.post(Array(body.utf8), contentType: contentType, to: "g")
            #expect(try await server.storedFiles() == 0)
        }
        return try #require(reply)
    }

    @Test(
        "a body that is no form is malformed",
        arguments: [
            nil, "application/json", "multipart/form-data", "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"b", "multipart/form-data; boundary=" + String(repeating: "b", count: 71),
        ]
    )
    func contentTypes(contentType: String?) async throws {
        let reply = try await self.post(Self.file("root", "{}"), contentType: contentType)
        #expect(reply.status == 400)
        #expect(reply.error?.code == .malformedUpload)
    }

    @Test(
        "a form that is cut off is malformed",
        arguments: [
            "", "--b", "--b\r\n", "--b\r\nContent-Disposition: form-data; filename=\"root\"",
            "--b\r\nContent-Disposition: form-data; filename=\"root\"\r\n\r\n{}",
            "--b\r\nContent-Disposition: form-data; filename=\"root\"\r\n\r\n{}\r\n--b",
            "--b\r\nContent-Disposition: form-data; filename=\"root\"\r\n\r\n{}\r\n--b\r\n",
            "--b\r\nContent-Disposition: form-data; filename=\"root\r\n\r\n{}\r\n--b--",
            "--c\r\n\r\n--c--",
        ]
    )
    func truncated(body: String) async throws {
        let reply = try await self.post(body)
        #expect(reply.status == 400)
        #expect(reply.error?.code == .malformedUpload)
    }

    @Test("an upload above the limit, in bytes or in parts, is malformed")
    func oversized() async throws {
        let bytes = try await self.post(Self.file("root", String(repeating: " ", count: 1 << 20)))
        #expect(bytes.error?.code == .malformedUpload)
        let parts = String(repeating: Self.part("form-data; filename=\"root\""), count: 300) + "--b--"
        #expect(try await self.post(parts).error?.code == .malformedUpload)
        let header = "--b\r\nX: \(String(repeating: "x", count: 10_000))\r\n\r\n\r\n--b--"
        #expect(try await self.post(header).error?.code == .malformedUpload)
    }

    @Test(
        "a part without a name has none",
        arguments: [
            "form-data; name=\"files\"", "form-data; filename=\"\"", "form-data; filename=\".json\"", "form-data",
        ]
    )
    func nameless(disposition: String) async throws {
        #expect(try await self.post(Self.part(disposition) + "--b--").error?.code == .noFilename)
    }

    @Test(
        "a part that is not named after a role is refused by that name",
        arguments: [
            "Root", "targets/", "targets//a", "targets/../root", "targets/A", "../root", "/root", "root.json.json",
            "targets\\a", "releases", "targets/a b", "targets/%2e%2e", "*", "snapshot/x",
        ]
    )
    func hostileNames(name: String) async throws {
        let escaped = name.replacing("\\", with: "\\\\")
        let reply = try await self.post(Self.file(escaped, "{}"))
        #expect(reply.status == 400)
        #expect(reply.error?.code == .invalidRole)
        let shown = name.hasSuffix(".json") ? String(name.dropLast(5)) : name
        #expect(reply.error?.detail == .text(shown))
    }

    private static let signed = #""signatures":[{"keyid":"a","method":"ecdsa","sig":""}]"#

    @Test(
        "a part that is not metadata is malformed JSON",
        arguments: [
            "", "null", "[]", "{", "{}", "{\"signed\":{}}", "\u{FEFF}{}",
            "{\"signed\":{},\"signed\":{},\(Self.signed)}", "{\"signed\":{\"version\":1.5},\(Self.signed)}",
            "{\"signed\":{\"version\":9007199254740993},\(Self.signed)}",
            "{\"signed\":{\"version\":\"1\"},\(Self.signed)}",
            "{\"signed\":{\"expires\":\"2030-01-01\"},\(Self.signed)}",
            "{\"signed\":{\"_type\":1},\(Self.signed)}", "{\"signed\":{},\(Self.signed)} x",
            String(repeating: "[", count: 100_000),
            "{\"signed\":" + String(repeating: "{\"a\":", count: 5000) + "1" + String(repeating: "}", count: 5000)
                + "}",
        ]
    )
    func malformedJSON(content: String) async throws {
        let reply = try await self.post(Self.file("targets", content))
        #expect(reply.status == 400)
        #expect(reply.error?.code == .malformedJSON)
    }

    @Test("invalid UTF-8 in metadata is malformed JSON")
    func invalidUTF8() async throws {
        try await TestServer.with { server in
            let form = MultipartForm(files: [(.root, Array("{\"signed\":\"".utf8) + [0xFF, 0xFE])], random: [7])
            let content = try await server.post(form.body, contentType: form.contentType, to: "g")
            #expect(content.error?.code == .malformedJSON)
            let body = Array(Self.file("targets/\u{0}", "{}").utf8)
            let name = try await server.post(body, contentType: "multipart/form-data; boundary=b", to: "g")
            #expect(name.error?.code == .invalidRole)
        }
    }

    @Test(
        "versions below 1, or above what Notary's tables hold, are refused with the role's error",
        arguments: [-1, 0, 1 << 31]
    )
    func versions(version: Int64) async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let stored = try await server.storedFiles()
            let reply = try await server.publish([(.targets, try await publisher.targets(version: version))], to: "g")
            #expect(reply.text.contains("\"Name\":\"ErrBadTargets\""), "\(reply.text)")
            let root = try await server.publish([(.root, try await publisher.root(version: version))], to: "g")
            #expect(root.text.contains("\"Name\":\"ErrBadRoot\""))
            #expect(try await server.storedFiles() == stored)
        }
    }

    @Test(
        "names that are no collection's",
        arguments: [
            "..", ".", "a/../b", "a/./b", "a//b", "/a", "a%2F..%2Fb", "a%2F", "%2e%2e", "a*b", "a%00b", "a%0Ab",
            String(repeating: "x", count: 256), String(repeating: "x", count: 5000),
        ]
    )
    func hostileNamesOfCollections(gun: String) async throws {
        try await TestServer.with { server in
            for leaf in ["root.json", "timestamp.key", "1.root.json"] {
                let reply = try await server.get(leaf, of: gun)
                #expect(reply.status == 404)
                #expect(reply.error?.code == .metadataNotFound)
            }
            let reply = try await server.publish([], to: gun)
            #expect(reply.status == 400)
            #expect(reply.error?.code == .invalidGUN)
            #expect(reply.body.count <= NotaryError.bodyLimit)
            #expect(try await server.send(.DELETE, "/v2/\(gun)/_trust/tuf/").status == 404)
        }
    }

    @Test("escapes that are cut off or not UTF-8 name nothing", arguments: ["a%", "a%2", "a%zz", "%ff%fe", "%c3"])
    func malformedEscapes(gun: String) async throws {
        try await TestServer.with { server in
            let read = try await server.get("root.json", of: gun)
            #expect(read.status == 404)
            let written = try await server.publish([], to: gun)
            #expect(written.status == 404)
        }
    }

    @Test("a flood of signatures is refused before one of them is checked")
    func signatureFlood() async throws {
        let signature = #"{"keyid":"a","method":"ecdsa","sig":"AA=="}"#
        let list = Array(repeating: signature, count: 1000).joined(separator: ",")
        let file = Array(#"{"signed":{"_type":"Targets","version":1},"signatures":[\#(list)]}"#.utf8)
        try await TestServer.with { server in
            let few = try await server.publish([(.targets, file), (RoleName("targets/a"), file)], to: "g")
            #expect(few.error?.code == .invalidUpdate)
            let many = try await server.publish(
                [(.targets, file), (RoleName("targets/a"), file), (RoleName("targets/b"), file)],
                to: "g"
            )
            #expect(many.status == 400)
            #expect(many.error?.code == .malformedUpload)
        }
    }

    @Test("what is only announced takes no memory from other publishers")
    func announced() async throws {
        try await TestServer.with {
            $0.uploadMemory = 10
        } _: { server in
            let reply = try await server.send(
                .POST,
                "/v2/g/_trust/tuf/",
                headers: ["Content-Length": "1000000", "Content-Type": "multipart/form-data; boundary=b"],
                body: Array("--b".utf8)
            )
            #expect(reply.status == 400)
        }
    }

    @Test("publishers beyond the memory set aside for uploads are told to come again")
    func memory() async throws {
        try await TestServer.with {
            $0.uploadMemory = 10
        } _: { server in
            let reply = try await server.publish([(.root, [1, 2, 3])], to: "g")
            #expect(reply.status == 503)
            #expect(reply.headers.first(name: "Retry-After") != nil)
        }
    }
}
