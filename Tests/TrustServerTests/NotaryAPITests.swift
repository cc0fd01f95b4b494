// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Notary's protocol", .onEveryDatabase)
struct NotaryAPITests {
    private static let paths: [(TrustPath, String)] = {
        let hash = String(repeating: "0a", count: 32)
        guard let gun = try? GUN("docker.io/library/a b"), let trust = try? GUN("x/_trust/tuf/y") else { return [] }
        return [
            (.ping, "/v2/"), (.health, "/_notary_server/health"), (.metrics, "/metrics"),
            (.changefeed(nil), "/v2/_trust/changefeed"),
            (.changefeed(gun), "/v2/docker.io/library/a%20b/_trust/changefeed"),
            (.collection(gun), "/v2/docker.io/library/a%20b/_trust/tuf/"),
            (.key(gun, .snapshot), "/v2/docker.io/library/a%20b/_trust/tuf/snapshot.key"),
            (.metadata(gun, .root, .current), "/v2/docker.io/library/a%20b/_trust/tuf/root.json"),
            (.metadata(gun, .root, .version(7)), "/v2/docker.io/library/a%20b/_trust/tuf/7.root.json"),
            (
                .metadata(gun, RoleName("targets/a/b"), .sha256(hash)),
                "/v2/docker.io/library/a%20b/_trust/tuf/targets/a/b.\(hash).json"
            ),
            (.metadata(trust, .root, .current), "/v2/x/_trust/tuf/y/_trust/tuf/root.json"),
            (
                .metadata(gun, RoleName("targets/_trust/tuf/x"), .current),
                "/v2/docker.io/library/a%20b/_trust/tuf/targets/_trust/tuf/x.json"
            ),
        ]
    }()

    @Test("paths are built as Go's client builds them, and read back")
    func paths() throws {
        #expect(Self.paths.count == 12)
        for (path, encoded) in Self.paths {
            #expect(path.encoded == encoded)
            #expect(try TrustPath(parsing: encoded) == path)
        }
    }

    @Test("errors are read back as they were written")
    func errors() {
        let errors = [
            NotaryError(.metadataNotFound), NotaryError(.version, detail: .empty),
            NotaryError(.invalidRole, detail: .text("a\"<é")), NotaryError(.root, "no"),
            NotaryError(.hierarchy, "no", missing: "snapshot"), NotaryError(.unauthorized, detail: .json(["a"])),
        ]
        for error in errors { #expect(NotaryError(decoding: error.body) == error) }
        #expect(NotaryError(decoding: Array("<html>".utf8)) == nil)
        #expect(NotaryError(decoding: Array(#"{"errors":[{"code":"NEW"}]}"#.utf8)) == nil)
        #expect(NotaryError(.targets, "no").description == "The targets metadata is invalid: no")
    }

    @Test("a long reason is cut so that its reply fits, and stays readable", arguments: [900, 1000, 5000, 100_000])
    func longReasons(length: Int) {
        for character in ["x", "<", "é", "\u{1}"] {
            let error = NotaryError(.snapshot, String(repeating: character, count: length), missing: nil)
            #expect(error.body.count <= NotaryError.bodyLimit)
            #expect(NotaryError(decoding: error.body)?.code == .invalidUpdate)
            if case .update(let update) = NotaryError(decoding: error.body)?.detail {
                #expect(update.kind == .snapshot)
                #expect(update.message.hasPrefix(character))
            } else {
                Issue.record("the detail is gone")
            }
        }
    }

    @Test("forms are read back as they were written, whatever the files hold")
    func forms() throws {
        let contents: [[UInt8]] = [
            [], Array("{}".utf8), Array("\r\n".utf8), Array("--\r\n--".utf8), [UInt8](0...255), Array("\r\n--ab".utf8),
        ]
        let files = contents.enumerated().map { (role: RoleName("targets/r\($0.offset)"), bytes: $0.element) }
        let form = MultipartForm(files: files, random: [0xAB, 0xCD])
        let parts = try MultipartForm.parse(form.body, contentType: form.contentType, limit: 6)
        #expect(parts.map(\.content) == contents)
        #expect(parts.map(\.filename) == files.map(\.role.text))
        #expect(throws: MultipartError.self) {
            try MultipartForm.parse(form.body, contentType: form.contentType, limit: 5)
        }
        for length in 0..<(form.body.count - 4) {
            #expect(throws: MultipartError.self, "\(length)") {
                try MultipartForm.parse(Array(form.body.prefix(length)), contentType: form.contentType, limit: 6)
            }
        }
        let none = MultipartForm(files: [], random: [1])
        #expect(try MultipartForm.parse(none.body, contentType: none.contentType, limit: 6).isEmpty)
    }

    @Test("forms of other writers: preamble, blanks after boundaries, quoted parameters, any kind of multipart")
    func otherForms() throws {
        let body =
            "preamble\r\n--x y \t\r\ncontent-disposition:form-data;FILENAME=\"a\\\"b.json\" ; name=q\r\nX: 1\r\n\r\n1\r\n--x y--tail"
        let parts = try MultipartForm.parse(
            Array(body.utf8),
            contentType: "Multipart/Mixed; charset=utf-8; boundary=\"x y\"",
            limit: 1
        )
        #expect(parts == [MultipartForm.Part(filename: "a\"b", content: Array("1".utf8))])
    }

    @Test("a cache forgets what was not used, and never holds more than its limit")
    func recentValues() {
        var values = RecentValues<Int, Int>(limit: 100)
        values.insert(0, for: 0, cost: 1)
        for key in 1...1000 {
            values.insert(key, for: key, cost: 1)
            #expect(values.value(for: 0) == 0)
        }
        #expect((1...1000).count { values.value(for: $0) != nil } <= 100)
        #expect(values.value(for: 1) == nil)
        values.insert(5, for: 5, cost: 26)
        #expect(values.value(for: 5) == nil)
        values.removeAll { $0 == 0 }
        #expect(values.value(for: 0) == nil)
    }
}
