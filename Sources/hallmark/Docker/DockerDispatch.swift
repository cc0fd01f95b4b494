// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DockerFront
import DurableFiles
import Foundation
import KeyStore
import Logging

/// The three names by which this program is docker's: `hallmark docker …`, a file named `docker`, and the plugin `docker-trust`.
enum DockerDispatch {
    /// Takes over where the arguments are docker's; they are not parsed as hallmark's then. Returns where they are not.
    static func runIfAsked(_ arguments: [String]) async {
        let rest = Array(arguments.dropFirst())
        switch (arguments.first ?? "").split(separator: "/").last.map(String.init) {
        case TrustPlugin.programName: exit(await self.plugin(rest))
        case "docker": await self.front(rest)
        default:
            guard rest.first == "docker" else { return }
            let own = DockerCommand.configuration.subcommands.compactMap { $0.configuration.commandName }
            guard !own.contains(rest.dropFirst().first ?? "") else { return }
            await self.front(Array(rest.dropFirst()))
        }
    }

    private static func front(_ arguments: [String]) async -> Never {
        let environment = ProcessInfo.processInfo.environment
        do {
            let docker = InstalledDocker(try DockerProgram(environment: environment), environment: environment)
            let front = DockerFront(
                engine: docker,
                trust: { directory in
                    let (settings, images) = try Self.images(directory, environment)
                    return SignedImages(images, settings: settings) { Notice.write($0) }
                },
                console: .standard,
                environment: environment,
                input: { try await StandardInput.read(limit: DockerFront.maximumDockerfile) }
            )
            switch await front.run(arguments) {
            case .ended(let status): exit(status)
            case .trust(let arguments): exit(await self.plugin(arguments))
            case .unchanged(let arguments): try docker.become(arguments, hasTrust: true)
            case .handOver(let arguments): try docker.become(arguments, hasTrust: false)
            }
        } catch {
            Notice.write("docker: \(error)")
            // As a shell says that there is no such program.
            exit((error as? DockerFrontError)?.code == .noDocker ? 127 : 125)
        }
    }

    private static func plugin(_ arguments: [String]) async -> Int32 {
        let environment = ProcessInfo.processInfo.environment
        let plugin = TrustPlugin(
            version: HallmarkVersion.current,
            open: { directory in
                let (settings, images) = try Self.images(directory, environment)
                return TrustPlugin.Tools(settings: settings, images: images, passphrases: Self.passphrases(environment))
            },
            engine: {
                // Docker itself has started the plugin.
                let program = try DockerProgram(environment: environment, isPlugin: true)
                return InstalledDocker(program, environment: environment)
            },
            console: .standard,
            readLine: { try? await BlockingWork.wait { readLine(strippingNewline: true) } }
        )
        return await plugin.run(arguments)
    }

    private static func images(
        _ directory: String?,
        _ environment: [String: String]
    ) throws -> (ClientSettings, TrustedImages) {
        CoreDumps.disable()
        var variables = environment
        if let directory { variables["DOCKER_CONFIG"] = directory }
        let settings = try ClientSettings(environment: variables)
        let logger = Logger(label: "hallmark") { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .warning
            return handler
        }
        return (
            settings, TrustedImages(settings: settings, passphrases: Self.passphrases(environment), logger: logger)
        )
    }

    private static func passphrases(_ environment: [String: String]) -> any PassphraseSource {
        CachingPassphrases(
            PassphraseChain([
                EnvironmentPassphrases(environment),
                PassphrasePrompt(terminal: StandardTerminal(), wording: .docker),
            ])
        )
    }
}

/// Standard input, read to its end.
enum StandardInput {
    /// - Parameter limit: after how many bytes to give up.
    /// - Throws: ``CommandError``.
    static func read(limit: Int) async throws -> [UInt8] {
        try await BlockingWork.wait {
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let count = Foundation.read(STDIN_FILENO, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw CommandError(.failure, "cannot read standard input") }
                if count == 0 { return bytes }
                bytes += buffer[..<count]
                // The beginning is enough to tell what it is.
                if bytes.count > limit { return bytes }
            }
        }
    }
}
