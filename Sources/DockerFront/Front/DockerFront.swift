// SPDX-License-Identifier: Apache-2.0

import OCI

/// `hallmark docker`: docker, with the content trust that it had.
///
/// What names images is looked up in signed metadata first, and docker is told digests; all else it does by itself.
package struct DockerFront: Sendable {
    /// How a command ends.
    package enum Outcome: Sendable, Hashable {
        /// What is none of the front's business is docker's, as it was said.
        case unchanged([String])
        /// It is for the plugin `docker trust`, with all arguments: whether docker has one or not.
        case trust([String])
        /// Docker takes over, with these arguments and without content trust of its own: all of it is done.
        case handOver([String])
        /// All is done; the exit code.
        case ended(Int32)
    }

    /// The most bytes of a Dockerfile.
    package static let maximumDockerfile = Dockerfile.maximumSize
    /// The variable that turns content trust on and off.
    package static let variable = "DOCKER_CONTENT_TRUST"
    /// The variable that has images that are named by digest checked, too.
    package static let strictVariable = "HALLMARK_DOCKER_STRICT"

    let engine: any DockerEngine
    let trust: @Sendable (_ configurationDirectory: String?) throws -> any ImageTrust
    let console: Console
    let environment: [String: String]
    let input: @Sendable () async throws -> [UInt8]

    /// - Parameters:
    ///   - engine: the docker to hand over to.
    ///   - trust: opens what is signed, with what the directory of `--config` says, if one was named.
    ///   - console: where to write.
    ///   - environment: the process's variables.
    ///   - input: reads standard input to its end.
    package init(
        engine: any DockerEngine,
        trust: @escaping @Sendable (_ configurationDirectory: String?) throws -> any ImageTrust,
        console: Console,
        environment: [String: String],
        input: @escaping @Sendable () async throws -> [UInt8]
    ) {
        self.engine = engine
        self.trust = trust
        self.console = console
        self.environment = environment
        self.input = input
    }

    /// Does what was asked, as far as it concerns trust; the rest is docker's.
    /// - Parameter arguments: what was typed after `docker`.
    package func run(_ arguments: [String]) async -> Outcome {
        let line: DockerCommandLine
        do {
            line = try await self.commandLine(arguments)
        } catch {
            self.console.report("\(error)")
            return .ended(125)
        }
        guard line.verb != .other else { return .unchanged(arguments) }
        guard line.verb != .trust else { return .trust(arguments) }
        let command = GuardedCommand(front: self, line: line)
        do {
            return try await command.run()
        } catch {
            return .ended(self.report(error, line))
        }
    }

    /// Whether content trust is on unless a flag says otherwise.
    var isOnByDefault: Bool {
        // Who calls docker by this name wants it; docker itself was off without the variable.
        self.environment[Self.variable].map(BooleanText.isOn) ?? true
    }

    /// Whether images by digest are checked, too.
    var isStrict: Bool { self.environment[Self.strictVariable].map(BooleanText.isOn) ?? false }

    private func commandLine(_ arguments: [String]) async throws -> DockerCommandLine {
        do {
            return try DockerCommandLine(arguments)
        } catch is ScannedArguments.UnknownFlag {
            let help = try await self.engine.capture(["--help"]).output
            do {
                return try DockerCommandLine(arguments, globalFlags: FlagTable.global.adding(FlagTable(help: help)))
            } catch let unknown as ScannedArguments.UnknownFlag {
                throw DockerFrontError(.usage, "unknown flag: \(unknown.text)")
            }
        }
    }

    /// Says why, as docker says it, and with its exit codes: scripts tell by them whether a container ran.
    private func report(_ error: any Error, _ line: DockerCommandLine) -> Int32 {
        let isUsage = (error as? DockerFrontError)?.code == .usage
        let name = "docker " + line.words.joined(separator: " ")
        guard line.verb == .run || isUsage else {
            self.console.report("\(error)")
            return 1
        }
        self.console.report("docker: \(error)\n\nRun '\(name) --help' for more information")
        return 125
    }
}
