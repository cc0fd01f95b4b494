// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import DockerFront

@Suite("What is meant to get past the front of docker")
struct EvasionTests {
    private func front(_ docker: FakeDocker, input: String = "") -> DockerFront {
        let trust = FakeTrust(["signed:latest": FakeTrust.digest])
        return DockerFront(
            engine: docker,
            trust: { _ in trust },
            console: Transcript().console,
            environment: [:],
            input: { Array(input.utf8) }
        )
    }

    @Test(
        "is refused where docker runs a command that does not stand where it should",
        arguments: [
            ["--version", "run", "evil"], ["-v", "run", "evil"], ["--help", "run", "evil"], ["-h", "run", "evil"],
            ["--version", "pull", "evil"], ["-v", "create", "evil"], ["-Dv", "run", "evil"],
            ["--", "-D", "run", "evil"], ["--", "--", "x", "run", "evil"],
            ["container", "--help", "run", "evil"], ["container", "-h", "create", "evil"],
            ["container", "--", "x", "run", "evil"], ["image", "--", "x", "pull", "evil"],
            ["image", "--", "pull", "pull", "evil"], ["service", "--", "x", "create", "evil"],
            ["builder", "--", "x", "build", "."], ["builder", "--help", "build", "."],
            ["buildx", "--debug", "x", "build", "."], ["buildx", "--", "x", "b", "."],
            ["buildx", "debug", "build", "."], ["buildx", "dap", "build", "."], ["builder", "debug", "build", "."],
            ["buildx", "--builder", "x", "debug", "--invoke", "sh", "build", "."],
        ]
    )
    func commandLine(arguments: [String]) async {
        let docker = FakeDocker()
        #expect(await self.front(docker).run(arguments) == .ended(125))
        #expect(docker.calls.withLock(\.self).isEmpty)
    }

    /// Stands for the byte 0xA0, a blank for who takes bytes for characters.
    private static let blankByte: Character = "\u{E000}"

    private static func bytes(_ text: String) -> [UInt8] {
        text.flatMap { $0 == Self.blankByte ? [0xA0] : Array(String($0).utf8) }
    }

    @Test(
        "is found or refused in a Dockerfile that builders read in other ways",
        arguments: [
            // Here-documents that some builders see and others do not.
            "FROM signed\nRUN cat << CMD\nFROM scratch AS evil\nCMD\nFROM evil",
            "FROM signed\nRUN cat <<CMD\\ x\nFROM scratch AS evil\nCMD x\nFROM evil",
            "FROM signed\nRUN cat <<\"CMD $X\"\nFROM scratch AS evil\nCMD $X\nFROM evil",
            "FROM signed\nRUN echo \"\\\"\" <<CMD \"\\\"\"\nFROM scratch AS evil\nCMD\nFROM evil",
            "FROM signed\nRUN cat\u{A0}<<CMD\nFROM scratch AS evil\nCMD\nFROM evil",
            "FROM signed\nRUN echo ${X:-<<CMD}\nFROM scratch AS evil\nCMD\nFROM evil",
            "FROM signed\nRUN echo ${} <<CMD\nRUN --mount=from=evil x\nCMD",
            "FROM signed\nRUN cat x<< <<EOF\nRUN --mount=from=evil,target=/x x\nEOF",
            "FROM signed\nRUN true <<CMD\nRUN --mount=from=evil,target=/x x\nCMD",
            "FROM signed\nRUN true <<CMD\nFR\\\nOM evil\nCMD",
            "FROM signed\nRUN true <<CMD\nCOPY \\\n--from=evil a b\nCMD",
            "FROM signed\nRUN true <<CMD\nONBUILD COPY --from=evil a b\nCMD",
            "FROM signed\nRUN true <<EOF\nRUN --mount=from=evil,target=/x x",
            "FROM signed\nRUN true <<EOF\nEOF\r\r\nRUN --mount=from=evil,target=/x x\nEOF",
            // Directives that only some obey.
            "# foo=bar\n# escape=`\nFROM signed\nRUN true `\nFROM evil",
            "#!/usr/bin/x=y\n# escape=`\nFROM signed\nRUN true `\nFROM evil",
            "#\u{B}x=y\n# escape=`\nFROM signed\nRUN true `\nFROM evil",
            "#\u{A0}syntax=evil\nFROM signed",
            "\u{FEFF}#!x\n# syntax=evil\nFROM signed",
            "# foo= \n# syntax=evil\nFROM signed",
            // Lines that go on for some.
            "FROM signed\nRUN true \\\u{C}\nFROM evil", "FROM signed\nRUN true \\\u{B}\nFROM evil",
            "FROM signed\nRUN true \\ \r \r\nFROM evil",
            // Flags, taken apart in other ways.
            "FROM signed\nCOPY \u{E000}--from=evil a b",
            "FROM signed\nCOPY --exclude=à--from=evil a b",
            "FROM signed\nCOPY --exclude=\"\\\"\" --from=evil a \"b\"",
            "# escape=`\nFROM signed\nCOPY --exclude=C:\\ --from=evil a b",
            "FROM --platform=linux/amd64\u{E000}evil",
            // Names that are a stage for some.
            "FROM signed AS evil\nCOPY --from=evil /x /x",
            "FROM signed AS evil\nRUN --mount=from=evil,target=/x x",
            "FROM scratch\nONBUILD FROM scratch AS evil\nFROM evil",
        ]
    )
    func dockerfile(text: String) {
        let images = try? DockerfileImages(of: Dockerfile(Self.bytes(text)), arguments: [:], contexts: []).images
        #expect(images.map { $0.contains { $0.name == "evil" } } ?? true)
    }

    @Test("is an image where a number is no stage")
    func numbers() throws {
        let text = "FROM signed\nRUN --mount=type=bind,from=1234,target=/x x\nCOPY --from=0 / /\n"
        let images = try DockerfileImages(of: Dockerfile(Array(text.utf8)), arguments: [:], contexts: []).images
        #expect(images.map(\.name) == ["signed", "1234"])
    }

    @Test("is not left to a variable, whatever builders make of it")
    func variables() async {
        let text = "ARG BASE=scratch\nARG A=one\nFROM signed AS one\nFROM ${BASE}\nFROM $A\n"
        let docker = FakeDocker()
        #expect(await self.front(docker, input: text).run(["build", "-"]) == .ended(0))
        let pinned = "ARG BASE=scratch\nARG A=one\nFROM signed@\(FakeTrust.digest) AS one\nFROM scratch\nFROM one\n"
        #expect(docker.inputs.withLock(\.self) == [Array(pinned.utf8)])

        let refusing = FakeDocker()
        let arguments = ["build", "--build-arg", "BASE=evil", "--build-arg", "BASE", "-"]
        #expect(await self.front(refusing, input: text).run(arguments) == .ended(1))
        #expect(refusing.calls.withLock(\.self).isEmpty)
    }
}
