// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import DockerFront

@Suite("Docker's command line")
struct CommandLineTests {
    @Test(
        "finds the image among docker's flags",
        arguments: [
            (["alpine", "sh", "-c", "x"], "alpine"),
            (["-it", "alpine"], "alpine"),
            (["-itv", "/a:/b", "alpine"], "alpine"),
            (["-itv/a:/b", "alpine"], "alpine"),
            (["-e=A=B", "alpine"], "alpine"),
            (["-eA", "-p80", "--rm", "alpine"], "alpine"),
            (["--env", "alpine", "debian"], "debian"),
            (["--env=alpine", "debian", "alpine"], "debian"),
            (["--init=false", "alpine"], "alpine"),
            (["-ti=false", "alpine"], "alpine"),
            (["--name", "--rm", "alpine"], "alpine"),
            (["--", "alpine", "-x"], "alpine"),
            (["-h", "host", "alpine"], "alpine"),
            (["-d", "--net", "none", "--dns-opt", "x", "alpine"], "alpine"),
            (["-", "alpine"], "-"),
        ]
    )
    func image(arguments: [String], image: String) throws {
        let scanned = try ScannedArguments(arguments, table: .run, stopsAtFirst: true)
        #expect(scanned.positionals.first == image)
    }

    @Test("means the same when it is put together again")
    func rebuilt() throws {
        let typed = ["-ite", "A=B", "--name", "x", "--init=false", "--", "alpine", "sh", "-c", "-e"]
        let scanned = try ScannedArguments(typed, table: .run, stopsAtFirst: true)
        let expected = [
            "--interactive", "--tty", "--env=A=B", "--name=x", "--init=false", "--", "alpine", "sh", "-c", "-e",
        ]
        #expect(scanned.arguments == expected)
        #expect(try ScannedArguments(expected, table: .run, stopsAtFirst: true) == scanned)
    }

    @Test("is refused where a flag is not known, as its value might be an image", arguments: ["--new", "-Z", "-iZ"])
    func unknown(flag: String) {
        #expect(throws: ScannedArguments.UnknownFlag.self) {
            try ScannedArguments([flag, "alpine"], table: .run, stopsAtFirst: true)
        }
    }

    @Test("is refused where a flag lacks its value")
    func missing() {
        #expect(throws: DockerFrontError(.usage, "")) { try ScannedArguments(["--name"], table: .run) }
    }

    @Test("learns flags from a command's help")
    func help() {
        let table = FlagTable(
            help: """
                Usage:  docker service create [OPTIONS] IMAGE [COMMAND] [ARG...]

                Options:
                      --config config                      Specify configurations to
                                                           expose - to the service
                  -d, --detach                             Exit immediately
                  -e, --env list                           Set environment variables
                      --init                               Use an init
                      --limit-cpu decimal                  Limit CPUs
                      --trace string[="x"]                 Trace
                      --color[=when]                       Colour
                """
        )
        #expect(table.takesValue("config") == true)
        #expect(table.takesValue("limit-cpu") == true)
        #expect(table.takesValue("env") == true)
        #expect(table.takesValue("detach") == false)
        #expect(table.takesValue("init") == false)
        #expect(table.takesValue("to") == nil)
        // A value that may be left out is never the next word.
        #expect(table.takesValue("trace") == false)
        #expect(table.takesValue("color") == false)
        #expect(table.shorthands == ["d": "detach", "e": "env"])
    }

    @Test(
        "says what is guarded",
        arguments: [
            (["pull", "alpine"], DockerCommandLine.Verb.pull),
            (["image", "pull", "alpine"], .pull),
            (["--config", "pull", "run", "x"], .run),
            (["-H", "tcp://x", "-D", "--tls", "container", "create", "x"], .create),
            (["-Htcp://x", "buildx", "--builder", "pull", "build", "."], .build),
            (["builder", "build", "."], .build),
            (["service", "update", "x"], .serviceUpdate),
            (["plugin", "push", "x"], .plugin),
            (["ps"], .other), (["compose", "pull"], .other), (["image", "ls"], .other), ([], .other),
            (["--help"], .other), (["image", "--help"], .other), (["-v"], .other), (["help", "run"], .other),
            (["container", "exec", "x", "run"], .other), (["buildx", "--debug", "build", "."], .build),
            (["--help=false", "pull", "x"], .pull),
            (["start", "run"], .other),
        ]
    )
    func verb(arguments: [String], verb: DockerCommandLine.Verb) throws {
        #expect(try DockerCommandLine(arguments).verb == verb)
    }

    @Test("keeps what stands before and at the command")
    func words() throws {
        let line = try DockerCommandLine(["--config=/c", "-D", "image", "pull", "-q", "x"])
        #expect(line.globalArguments == ["--config=/c", "-D"])
        #expect(line.configurationDirectory == "/c")
        #expect(line.words == ["image", "pull"])
        #expect(line.arguments == ["-q", "x"])
    }

    @Test(
        "takes truth as docker does",
        arguments: [
            ("", false), ("0", false), ("f", false), ("F", false), ("false", false), ("False", false), ("FALSE", false),
            ("1", true), ("true", true), ("no", true), ("off", true), (" ", true),
        ]
    )
    func truth(text: String, isOn: Bool) {
        #expect(BooleanText.isOn(text) == isOn)
    }
}
