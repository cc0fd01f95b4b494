// SPDX-License-Identifier: Apache-2.0

/// The docker that is installed.
package protocol DockerEngine: Sendable {
    /// Runs it with the terminal and files of this process, and waits for its end.
    /// - Parameters:
    ///   - arguments: what follows `docker`.
    ///   - output: where its standard output goes.
    ///   - input: its standard input; nil for that of this process.
    /// - Returns: its exit code; of one that a signal ended, 128 and the signal.
    /// - Throws: ``DockerFrontError`` with code `noDocker` or `docker`.
    func run(_ arguments: [String], output: DockerOutput, input: [UInt8]?) async throws -> Int32

    /// Runs it unseen.
    /// - Parameter arguments: what follows `docker`.
    /// - Returns: its exit code, and what it printed on standard output: of that no more than a megabyte.
    /// - Throws: ``DockerFrontError`` with code `noDocker` or `docker`.
    func capture(_ arguments: [String]) async throws -> (status: Int32, output: String)
}

/// Where the standard output of docker goes.
package enum DockerOutput: Sendable {
    /// To that of this process.
    case inherited
    /// To the standard error of this process.
    case standardError
    /// Through a filter to that of this process; where that is a terminal, docker has one, too.
    case filtered(any OutputFilter)
}

/// Looks at what passes, and leaves out what should not be seen.
package protocol OutputFilter: Sendable {
    /// Takes the next bytes.
    /// - Parameter bytes: at least one.
    /// - Returns: what may be seen by now.
    func pass(_ bytes: ArraySlice<UInt8>) -> [UInt8]

    /// The last bytes, when there are no more to come.
    func finish() -> [UInt8]
}
