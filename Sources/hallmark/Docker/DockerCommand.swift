// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DockerFront
import Foundation

/// `hallmark docker`: what is not one of these commands is docker's, and never comes here.
struct DockerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "docker",
        abstract: "Docker, with content trust: pulls, runs and builds on what is signed, and signs what it pushes.",
        discussion: """
            hallmark docker ARGUMENT... is docker ARGUMENT..., with the content trust that DOCKER_CONTENT_TRUST=1 gave Docker 28 \
            and older: alias docker='hallmark docker'. It is on unless DOCKER_CONTENT_TRUST is 0, false or empty, or \
            --disable-content-trust is said. Exit codes are docker's.

              hallmark docker pull REGISTRY/NAME:TAG      the digest that is signed, tagged
              hallmark docker push REGISTRY/NAME:TAG      and sign what was pushed
              hallmark docker run|create|build ...        of signed images only
              hallmark docker trust ...                   docker trust as it was, which install makes a plugin of docker, too
              hallmark docker ANYTHING ...                as docker does it
            """,
        subcommands: [DockerInstall.self, DockerUninstall.self, DockerStatus.self]
    )
}

/// Where docker's parts of hallmark go.
struct DockerPlaces: ParsableArguments {
    @Option(
        name: .customLong("cli-plugins-dir"),
        help: ArgumentHelp("Where docker looks for plugins. Default: ~/.docker/cli-plugins.", valueName: "dir")
    )
    var pluginDirectory: String?

    @Option(
        name: .customLong("shim-dir"),
        help: ArgumentHelp(
            "Also a docker that is this program, in a directory that comes before docker's on PATH.",
            valueName: "dir"
        )
    )
    var shimDirectory: String?

    var installation: DockerInstallation {
        DockerInstallation(
            pluginDirectory: self.pluginDirectory?.expandingTilde,
            shimDirectory: self.shimDirectory?.expandingTilde,
            environment: ProcessInfo.processInfo.environment
        )
    }
}

/// `hallmark docker install`
struct DockerInstall: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "install",
        abstract: "Put docker trust in place as a plugin, and say how to have content trust everywhere."
    )

    @OptionGroup var places: DockerPlaces

    func run() async throws {
        let installation = self.places.installation
        for path in try installation.install() { print("Installed \(path)") }
        if installation.shim == nil {
            print("For content trust in every docker command, add to \(ShellStartup.file):\n  \(ShellStartup.alias)")
        }
        let found = await FoundDocker.look()
        for line in found.lines { print(line) }
    }
}

/// `hallmark docker uninstall`
struct DockerUninstall: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "uninstall",
        abstract: "Take away what install put in place."
    )

    @OptionGroup var places: DockerPlaces

    func run() async throws {
        let removed = try self.places.installation.uninstall()
        for path in removed { print("Removed \(path)") }
        if removed.isEmpty { print("Nothing of hallmark's is there.") }
    }
}

/// `hallmark docker status`
struct DockerStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say which docker is found, what it has of content trust, and what of hallmark's is in place."
    )

    @OptionGroup var places: DockerPlaces
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let installation = self.places.installation
        let found = await FoundDocker.look()
        let plugin = installation.presence(of: installation.plugin)
        let shim = installation.shim.map { ($0, installation.presence(of: $0)) }
        if self.output.output == .json {
            JSONOutput.write(
                Report(
                    docker: found.path,
                    version: found.version?.text,
                    hasTrustCommand: found.version?.hasTrustCommand,
                    plugin: Report.Place(path: installation.plugin, state: plugin.rawValue),
                    shim: shim.map { Report.Place(path: $0.0, state: $0.1.rawValue) }
                )
            )
            return
        }
        for line in found.lines { print(line) }
        print("plugin: \(Self.text(plugin)) (\(installation.plugin))")
        if let shim { print("shim: \(Self.text(shim.1)) (\(shim.0))") }
        print("alias: \(ShellStartup.alias)")
    }

    private static func text(_ presence: DockerInstallation.Presence) -> String {
        switch presence {
        case .absent: "not installed"
        case .installed: "installed"
        case .otherHallmark: "a link to another hallmark: install again"
        case .foreign: "a file that is not hallmark's"
        }
    }

    private struct Report: Encodable {
        struct Place: Encodable {
            let path: String
            let state: String
        }

        let docker: String?
        let version: String?
        let hasTrustCommand: Bool?
        let plugin: Place
        let shim: Place?
    }
}

/// The docker on this machine.
struct FoundDocker {
    let path: String?
    let version: DockerVersion?
    /// What to say about it.
    let lines: [String]

    /// Looks for it, and asks it for its version.
    static func look() async -> FoundDocker {
        let environment = ProcessInfo.processInfo.environment
        do {
            let program = try DockerProgram(environment: environment)
            let docker = InstalledDocker(program, environment: environment)
            guard let version = DockerVersion(try await docker.capture(["--version"]).output) else {
                return FoundDocker(
                    path: program.path,
                    version: nil,
                    lines: ["docker: \(program.path), of no known version"]
                )
            }
            let lines = ["docker: \(version.text) (\(program.path))"] + version.remarks.map { "  \($0)" }
            return FoundDocker(path: program.path, version: version, lines: lines)
        } catch {
            return FoundDocker(path: nil, version: nil, lines: ["docker: \(error)"])
        }
    }
}

/// What the user's shell reads when it starts.
enum ShellStartup {
    private static var shell: String {
        (ProcessInfo.processInfo.environment["SHELL"] ?? "").split(separator: "/").last.map(String.init) ?? "sh"
    }

    /// The file.
    static var file: String {
        switch self.shell {
        case "bash": "~/.bashrc"
        case "zsh": "~/.zshrc"
        case "fish": "~/.config/fish/config.fish"
        default: "~/.profile"
        }
    }

    /// The line for it.
    static var alias: String {
        self.shell == "fish" ? "alias docker 'hallmark docker'" : "alias docker='hallmark docker'"
    }
}
