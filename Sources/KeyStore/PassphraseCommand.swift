// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import TUF

/// The first line that a program prints: a password manager's, say. It learns from `HALLMARK_KEY_ID`, `HALLMARK_KEY_ROLE` and
/// `HALLMARK_KEY_PURPOSE` (`unlock` or `create`) what is wanted. A wrong passphrase ends the operation.
package struct PassphraseCommand: PassphraseSource {
    private static let maximumOutput = 4096

    private let command: [String]
    private let environment: [String: String]
    private let timeout: TimeInterval

    /// - Parameters:
    ///   - command: the program, looked up in `PATH` unless it has a slash, and its arguments; no shell is involved.
    ///   - environment: the program's variables.
    ///   - timeout: after how many seconds it is ended.
    package init(_ command: [String], environment: [String: String], timeout: Double = 60) {
        self.command = command
        self.environment = environment
        self.timeout = timeout
    }

    package func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        let purpose: String
        switch request.purpose {
        case .create: purpose = "create"
        case .unlock: purpose = "unlock"
        case .pin: return nil
        }
        guard request.attempt == 0 else { throw request.attemptsExceeded }
        guard let program = self.command.first else { return nil }
        var environment = self.environment
        environment["HALLMARK_KEY_ID"] = request.keyID.text
        environment["HALLMARK_KEY_ROLE"] = request.role.text
        environment["HALLMARK_KEY_PURPOSE"] = purpose
        let (command, variables, timeout) = (self.command, environment, self.timeout)
        let output = try await BlockingWork.wait { try Self.run(command, environment: variables, timeout: timeout) }
        return try Passphrase.firstLine(of: output, from: program, for: request)
    }

    private static func run(_ command: [String], environment: [String: String], timeout: TimeInterval) throws -> [UInt8]
    {
        let program = command.first ?? ""
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw self.failure(program, errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let (readEnd, writeEnd) = (ends[0], ends[1])
        defer { close(readEnd) }
        let identifier: pid_t
        do {
            defer { close(writeEnd) }
            identifier = try self.spawn(command, environment: environment, output: writeEnd)
        }
        let deadline = DispatchTime.now() + timeout
        let bytes = self.read(readEnd, until: deadline)
        // A program that has closed its output may still run on.
        let status = self.wait(for: identifier, until: deadline)
        guard status == 0 else {
            throw KeyStoreError(
                .passphraseUnavailable,
                "the passphrase command \(program) " + (status.map { "failed with status \($0)" } ?? "took too long")
            )
        }
        return bytes
    }

    /// Starts the program by hand: Foundation's `Process` waits for all that the program has started in turn.
    private static func spawn(_ command: [String], environment: [String: String], output: Int32) throws -> pid_t {
        let program = command.first ?? ""
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        let arguments = command.map { strdup($0) }
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in arguments + variables { free(text) } }
        var identifier: pid_t = 0
        let result = posix_spawnp(&identifier, program, &actions, nil, arguments + [nil], variables + [nil])
        guard result == 0 else { throw self.failure(program, result) }
        return identifier
    }

    /// The exit status (128 and more for a signal), or nil when the program had to be killed at the deadline.
    private static func wait(for identifier: pid_t, until deadline: DispatchTime) -> Int32? {
        let killing = DispatchWorkItem { kill(identifier, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: deadline, execute: killing)
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        killing.cancel()
        guard DispatchTime.now() < deadline else { return nil }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    private static func failure(_ program: String, _ number: Int32) -> KeyStoreError {
        KeyStoreError(
            .passphraseUnavailable,
            "cannot run the passphrase command \(program): \(String(cString: strerror(number)))"
        )
    }

    /// Reads to the end or the deadline: something that the program started could keep its output open for ever.
    private static func read(_ descriptor: Int32, until deadline: DispatchTime) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            let now = DispatchTime.now()
            guard now < deadline else { return bytes }
            let milliseconds = (deadline.uptimeNanoseconds - now.uptimeNanoseconds) / 1_000_000 + 1
            var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&event, 1, Int32(clamping: milliseconds)) > 0 else { continue }
            let count = Foundation.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return bytes }
            if bytes.count < self.maximumOutput { bytes += buffer[..<count] }
        }
    }
}
