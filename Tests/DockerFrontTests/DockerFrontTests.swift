// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing

@testable import DockerFront

@Suite("The front of docker")
struct DockerFrontTests {
    private static let trusted = "alpine@" + FakeTrust.digest

    private let trust = FakeTrust([
        "alpine:latest": FakeTrust.digest, "alpine:3": "sha256:" + String(repeating: "b", count: 64),
    ])
    private let transcript = Transcript()

    private func front(
        _ docker: FakeDocker,
        _ environment: [String: String] = [:],
        input: String = ""
    ) -> DockerFront {
        let trust = self.trust
        return DockerFront(
            engine: docker,
            trust: { _ in trust },
            console: self.transcript.console,
            environment: environment,
            input: { Array(input.utf8) }
        )
    }

    @Test("runs what is signed, by its digest, and pulls it before only if it is missing")
    func run() async {
        let present = FakeDocker(present: [Self.trusted])
        let expected = DockerFront.Outcome.handOver([
            "-D", "run", "--rm", "--env=A", Self.trusted, "sh", "-c", "alpine",
        ])
        #expect(
            await self.front(present).run(["-D", "run", "--rm", "-eA", "alpine", "sh", "-c", "alpine"]) == expected
        )
        #expect(present.calls.withLock(\.self).isEmpty)

        let missing = FakeDocker()
        #expect(
            await self.front(missing).run(["-D", "run", "--rm", "-eA", "alpine", "sh", "-c", "alpine"]) == expected
        )
        #expect(
            missing.calls.withLock(\.self) == [
                ["-D", "pull", Self.trusted], ["-D", "tag", Self.trusted, "alpine:latest"],
            ]
        )
        #expect(self.transcript.error.contains("Unable to find image 'alpine:latest' locally"))
    }

    @Test("pulls again when it is told to, and never when it is told so")
    func pullPolicy() async {
        let docker = FakeDocker(present: [Self.trusted])
        let always = await self.front(docker).run(["run", "--pull=always", "--platform", "p", "-q", "alpine"])
        #expect(always == .handOver(["run", "--pull=missing", "--platform=p", "--quiet", Self.trusted]))
        #expect(docker.calls.withLock(\.self).first == ["pull", "--quiet", "--platform=p", Self.trusted])
        let other = FakeDocker()
        #expect(
            await self.front(other).run(["create", "--pull", "never", "alpine"])
                == .handOver(["create", "--pull=never", Self.trusted])
        )
        #expect(other.calls.withLock(\.self).isEmpty)
    }

    @Test(
        "refuses what is not signed with docker's exit codes, and docker is told nothing",
        arguments: [
            (["run", "alpine:evil"], 125), (["container", "create", "alpine:evil"], 1), (["pull", "alpine:evil"], 1),
            (["run", "--new-flag", "x", "alpine"], 125), (["pull", "-a", "alpine:3"], 1), (["push", Self.trusted], 1),
            (["plugin", "install", "x"], 1), (["image", "--foo", "pull", "alpine:evil"], 125),
            (["pull", "a", "b"], 1), (["push"], 1), (["run"], 125), (["service", "create"], 1),
            (["build", ".", "."], 1),
            (["run", "--mount", "type=image,source=evil,target=/x", "alpine"], 125),
            (["create", "--mount", "src=evil, \"Type=image\",target=/x", "alpine"], 1),
            (["run", "UPPER/case"], 125), (["service", "create", "alpine:evil"], 1), (["pull", "deadbeef"], 1),
        ] as [([String], Int32)]
    )
    func refused(arguments: [String], status: Int32) async {
        let docker = FakeDocker()
        #expect(await self.front(docker).run(arguments) == .ended(status))
        #expect(docker.calls.withLock(\.self).isEmpty)
        #expect(!self.transcript.error.isEmpty)
    }

    @Test(
        "is on when nothing is said, and off by variable or flag",
        arguments: [
            ([:], [], true), (["DOCKER_CONTENT_TRUST": "1"], [], true), (["DOCKER_CONTENT_TRUST": "no"], [], true),
            (["DOCKER_CONTENT_TRUST": "0"], [], false), (["DOCKER_CONTENT_TRUST": ""], [], false),
            ([:], ["--disable-content-trust"], false), ([:], ["--disable-content-trust=false"], true),
            (["DOCKER_CONTENT_TRUST": "0"], ["--disable-content-trust=false"], true),
            ([:], ["--disable-content-trust=true", "--disable-content-trust=F"], true),
        ] as [([String: String], [String], Bool)]
    )
    func isOn(environment: [String: String], flags: [String], isOn: Bool) async {
        let docker = FakeDocker(present: [Self.trusted])
        let outcome = await self.front(docker, environment).run(["run"] + flags + ["alpine"])
        #expect(outcome == .handOver(["run", isOn ? Self.trusted : "alpine"]))
    }

    @Test("lets images by content pass as docker did, unless everything has to be signed")
    func content() async {
        let docker = FakeDocker()
        let other = "alpine@sha256:" + String(repeating: "c", count: 64)
        let id = String(repeating: "d", count: 64)
        #expect(await self.front(docker).run(["run", other]) == .handOver(["run", other]))
        #expect(await self.front(docker).run(["run", id]) == .handOver(["run", id]))
        let strict = self.front(docker, ["HALLMARK_DOCKER_STRICT": "1"])
        #expect(await strict.run(["run", Self.trusted]) == .handOver(["run", Self.trusted]))
        #expect(await strict.run(["run", other]) == .ended(125))
        #expect(await strict.run(["run", id]) == .ended(125))
        #expect(await strict.run(["pull", other]) == .ended(1))
    }

    @Test("signs exactly what docker says it has pushed")
    func push() async {
        let line = "\u{1B}[2Klatest: digest: \(FakeTrust.digest) size: 528\r\n"
        let docker = FakeDocker(printed: "The push refers to x\nlatest2: digest: sha256:0 size: 1\n" + line)
        #expect(await self.front(docker).run(["push", "-q", "alpine"]) == .ended(0))
        #expect(docker.calls.withLock(\.self) == [["push", "alpine:latest"]])
        #expect(self.trust.added.withLock(\.self) == ["alpine:latest \(FakeTrust.digest) 528"])
    }

    @Test(
        "signs nothing when docker failed, or said two things",
        arguments: [
            ("", 0, 1), ("latest: digest: \(FakeTrust.digest) size: 528\n", 3, 3),
            ("latest: digest: \(FakeTrust.digest) size: 528\nlatest: digest: \(FakeTrust.digest) size: 529\n", 0, 1),
        ] as [(String, Int32, Int32)]
    )
    func pushed(printed: String, status: Int32, expected: Int32) async {
        let docker = FakeDocker(printed: printed, status: status)
        #expect(await self.front(docker).run(["push", "alpine:latest"]) == .ended(expected))
        #expect(self.trust.added.withLock(\.self).isEmpty)
    }

    @Test("hands over what is not its own without a change")
    func rest() async {
        for arguments in [["ps", "-a"], [], ["compose", "--x", "up"], ["--version"], ["--help", "ps"]] {
            #expect(await self.front(FakeDocker()).run(arguments) == .unchanged(arguments))
        }
        #expect(await self.front(FakeDocker()).run(["-D", "trust", "sign"]) == .trust(["-D", "trust", "sign"]))
        #expect(await self.front(FakeDocker()).run(["run", "--help"]) == .handOver(["run", "--help"]))
    }

    @Test("asks the help of docker about flags that are newer than this table")
    func newFlags() async {
        let docker = FakeDocker(
            present: [Self.trusted],
            help: "Options:\n      --new string   Something\n      --fast   Else\n"
        )
        let outcome = await self.front(docker).run(["run", "--new", "alpine:evil", "--fast", "alpine"])
        #expect(outcome == .handOver(["run", "--new=alpine:evil", "--fast", Self.trusted]))
    }

    @Test("builds a Dockerfile from standard input on signed images")
    func build() async {
        let docker = FakeDocker()
        let front = self.front(docker, input: "FROM alpine\nCOPY --from=alpine:3 / /\n")
        let arguments = [
            "build", "-t", "x", "--build-context", "b=docker-image://alpine", "--build-arg=BUILDKIT_SYNTAX=alpine", "-",
        ]
        #expect(await front.run(arguments) == .ended(0))
        let expected = [
            "build", "--tag=x", "--build-context=b=docker-image://\(Self.trusted)",
            "--build-arg=BUILDKIT_SYNTAX=\(Self.trusted)", "-",
        ]
        #expect(docker.calls.withLock(\.self) == [expected])
        let text = "FROM \(Self.trusted)\nCOPY --from=alpine@sha256:\(String(repeating: "b", count: 64)) / /\n"
        #expect(docker.inputs.withLock(\.self) == [Array(text.utf8)])
    }

    @Test("keeps tag and digest for the nodes of a swarm")
    func service() async {
        let docker = FakeDocker(help: "Options:\n      --image string   Image\n      --name string   Name\n")
        let image = "alpine:3@sha256:" + String(repeating: "b", count: 64)
        #expect(
            await self.front(docker).run(["service", "create", "--name", "x", "alpine:3"])
                == .handOver(["service", "create", "--name=x", image])
        )
        #expect(
            await self.front(docker).run(["service", "update", "--image", "alpine:3", "x"])
                == .handOver(["service", "update", "--image=\(image)", "x"])
        )
    }

    @Test("leaves out one line of what docker prints, however it arrives")
    func filter() {
        for size in 1...9 {
            let filter = LineFilter(leavingOut: "name@x")
            var seen: [UInt8] = []
            var rest = Array("a\nname@x\r\nname@xy\nbname@x\nname@".utf8)[...]
            while !rest.isEmpty {
                seen += filter.pass(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            seen += filter.finish()
            #expect(String(decoding: seen, as: UTF8.self) == "a\nname@xy\nbname@x\nname@")
        }
    }
}
