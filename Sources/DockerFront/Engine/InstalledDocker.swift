// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation

/// The docker of this machine, as a program.
package struct InstalledDocker: DockerEngine {
    private static let maximumCapture = 1 << 20

    private let program: DockerProgram
    /// Without content trust.
    private let environment: [String: String]
    /// As the user has it, for what docker starts in turn.
    private let wholeEnvironment: [String: String]

    /// - Parameters:
    ///   - program: where it is.
    ///   - environment: the process's variables; content trust is off in docker's, as the front has already seen to it.
    package init(_ program: DockerProgram, environment: [String: String]) {
        self.program = program
        var variables = environment
        variables[DockerProgram.marker] = "\(getpid())"
        self.wholeEnvironment = variables
        variables["DOCKER_CONTENT_TRUST"] = "0"
        self.environment = variables
    }

    /// Becomes docker: nothing of this process is left but its number, its files and its terminal.
    /// - Parameters:
    ///   - arguments: what follows `docker`.
    ///   - hasTrust: whether it is left to the variables whether docker has content trust of its own.
    /// - Throws: ``DockerFrontError`` with code `noDocker`; it does not return.
    package func become(_ arguments: [String], hasTrust: Bool) throws -> Never {
        ChildProcess.restoreSignals()
        let environment = hasTrust ? self.wholeEnvironment : self.environment
        let number = ChildProcess.withVector(["docker"] + arguments, environment) { arguments, variables in
            execve(self.program.path, arguments, variables)
            return errno
        }
        throw DockerFrontError(.noDocker, "cannot run \(self.program.path): \(String(cString: strerror(number)))")
    }

    package func run(_ arguments: [String], output: DockerOutput, input: [UInt8]?) async throws -> Int32 {
        let child = ChildProcess(
            path: self.program.path,
            arguments: ["docker"] + arguments,
            environment: self.environment
        )
        return try await BlockingWork.wait { try child.run(output: output, input: input) }
    }

    package func capture(_ arguments: [String]) async throws -> (status: Int32, output: String) {
        let capture = Capture(limit: Self.maximumCapture)
        let child = ChildProcess(
            path: self.program.path,
            arguments: ["docker"] + arguments,
            environment: self.environment
        )
        let status = try await BlockingWork.wait {
            try child.run(output: .filtered(capture), input: [], isSilent: true)
        }
        return (status, capture.text)
    }
}
