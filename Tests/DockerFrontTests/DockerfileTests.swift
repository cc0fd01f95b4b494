// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import DockerFront

@Suite("Images in Dockerfiles")
struct DockerfileTests {
    private func images(
        _ text: String,
        _ arguments: [String: String] = [:],
        contexts: Set<String> = []
    ) throws -> [String] {
        try DockerfileImages(of: Dockerfile(Array(text.utf8)), arguments: arguments, contexts: contexts).images.map(
            \.name
        )
    }

    @Test(
        "are found wherever a build takes one from",
        arguments: [
            ("FROM alpine", ["alpine"]),
            ("from --platform=$BUILDPLATFORM alpine:3 as x\nRUN true\nFROM x", ["alpine:3"]),
            ("FROM scratch\nCOPY --from=alpine / /", ["alpine"]),
            ("FROM a\nCOPY --chown=1 --from='alpine' / /", ["a", "alpine"]),
            ("FROM a AS b\nFROM scratch\nCOPY --from=B / /\nCOPY --from=0 / /", ["a"]),
            ("FROM a\nRUN --mount=type=cache,target=/x --mount=type=bind,from=b:1,target=/y true", ["a", "b:1"]),
            ("FROM a\nONBUILD COPY --from=b / /", ["a", "b"]),
            ("# syntax = docker/dockerfile:1 x\n# escape=`\nFROM `\n  a", ["docker/dockerfile:1", "a"]),
            ("\u{FEFF}FROM \\\r\n# a comment\r\n\r\n  a\r\nRUN true\r\n", ["a"]),
            ("FROM a\nRUN <<EOF\nFROMAGE\n# FROM c\nEOF\nFROM b", ["a", "b"]),
            ("FROM a\nRUN echo \"<<EOF\"\nFROM b\nEOF <- no instruction", nil),
            ("FROM a\nRUN cat <<EOF<x\nFROM b", nil),
            ("FROM a\nRUN <<EOF\nFROM evil\nEOF", ["a"]),
            ("FROM a\nRUN cat <<<x $((1<<2)) \"<<y\"\nFROM b", ["a", "b"]),
            ("FROM a\nCOPY <<-\"A\" <<'B' 3<<C /\n\tA\r\n?\nB\n$\nC\nFROM b", ["a", "b"]),
            ("#!/usr/bin/env docker\n# syntax=s\nFROM a", ["s", "a"]),
            ("# check=skip=all\n# escape=`\nFROM a\nRUN true `\nFROM b", ["a"]),
            ("FROM \"a\"", ["a"]),
            ("FROM a\nRUN echo FROM b \\\n  FROM c", ["a"]),
        ] as [(String, [String]?)]
    )
    func found(text: String, expected: [String]?) throws {
        guard let expected else {
            #expect(throws: DockerFrontError(.build, "")) { try self.images(text) }
            return
        }
        #expect(try self.images(text) == expected)
    }

    @Test(
        "have the names that their variables give them",
        arguments: [
            ("ARG X=a\nFROM $X", "a"),
            ("ARG X=a\nARG Y=${X}:1\nFROM ${Y}", "a:1"),
            ("ARG GIVEN=a\nFROM $GIVEN", "given"),
            ("ARG GIVEN\nFROM b$GIVEN", "bgiven"),
            ("ARG X\nFROM ${X:-a}", "a"),
            ("ARG X\nFROM a${X-b}", "a"),
            ("FROM a${X-b}", "ab"),
            ("ARG X=1\nFROM a${X:+-slim}", "a-slim"),
            ("ARG X='a' Y=\"b\"\nFROM $X/$Y", "a/b"),
        ]
    )
    func variables(text: String, expected: String) throws {
        #expect(try self.images(text, ["GIVEN": "given"]) == [expected])
    }

    @Test(
        "are refused where nobody can tell what they are",
        arguments: [
            "FROM $UNKNOWN", "FROM a:$TARGETARCH", "ARG X=a\nFROM ${X#a}", "FROM a\\b", "FROM a\nCOPY --from=$X / /",
            "FROM a\nCOPY --from=later / /\nFROM b AS later", "{\"syntax\": \"x\"}", "// syntax=x\nFROM a",
            "FROM a\nINCLUDE b", "FROM a\nRUN <<CMD\nFROM b\nCMD", "FROM a\nRUN <<EOF\nX",
            "FROM", "FROM a\nONBUILD FROM b", "# escape=x\nFROM a", "FROM al\\\npine",
            "# syntax=a\n# syntax=b\nFROM c", "FROM a\nRUN --mount type=bind,from=b true", "FROM ${", "FROM $",
        ]
    )
    func refused(text: String) {
        #expect(throws: DockerFrontError(.build, "")) { try self.images(text) }
    }

    @Test("are left alone where --build-context gives their name to something else")
    func contexts() throws {
        #expect(try self.images("FROM a\nCOPY --from=b / /", contexts: ["a"]) == ["b"])
        #expect(try self.images("FROM a:latest", contexts: ["a"]) == [])
        #expect(try self.images("FROM a:1", contexts: ["a"]) == ["a:1"])
    }

    @Test("are replaced, and not another byte changes")
    func replaced() throws {
        let text =
            "\u{FEFF}# syntax=s:1\r\nARG X=a\r\n  FROM ${X} AS x # \r\nCOPY --from=b:2 --from=\"c\" \\\r\n  / /\r\n"
        var file = try Dockerfile(Array(text.utf8))
        for image in try DockerfileImages(of: file, arguments: [:], contexts: []).images.reversed() {
            file.replace(image.columns, of: image.line, with: "<\(image.name)>")
        }
        let expected =
            "\u{FEFF}# syntax=<s:1>\r\nARG X=a\r\n  FROM <a> AS x # \r\nCOPY --from=<b:2> --from=\"<c>\" \\\r\n  / /\r\n"
        #expect(String(decoding: file.bytes, as: UTF8.self) == expected)
    }

    @Test("are read from any bytes without a trap")
    func anything() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("FROM a\n\\$\"'{}<<-EOF COPY --from=x RUN --mount=,# syntax=`\r\t\u{FEFF}ARG=".utf8)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...80, using: &generator)).compactMap { _ in
                alphabet.randomElement(using: &generator)
            }
            _ = try? DockerfileImages(of: Dockerfile(bytes), arguments: [:], contexts: [])
        }
    }
}
