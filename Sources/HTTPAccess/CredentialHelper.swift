// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs `docker-credential-NAME get`: the server's address on standard input, JSON on standard output.
struct CredentialHelper {
    /// The most bytes that are read from a helper.
    private static let maximumOutput = 64 << 10

    private let program: String
    private let timeout: Duration

    /// - Throws: ``HTTPAccessError`` with code `credentials` when the name could be a path.
    init(name: String, timeout: Duration) throws {
        let isName =
            (1...128).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || [45, 46, 95].contains(byte)
            }
        guard isName else {
            throw HTTPAccessError(
                .credentials,
                "\"\(name.printable())\" is not the name of a credential helper"
            )
        }
        self.program = "docker-credential-" + name
        self.timeout = timeout
    }

    /// Asks for the credential of a server. Blocks.
    /// - Returns: nil when the helper has none.
    /// - Throws: ``HTTPAccessError`` with code `credentials` when it cannot run, fails, or takes too long.
    func get(_ server: String) throws -> Credential? {
        let (status, output) = try self.run(server)
        guard status == 0 else {
            let text = String(decoding: output, as: UTF8.self)
            if text.contains("credentials not found") { return nil }
            throw HTTPAccessError(
                .credentials,
                "\(self.program) ended with status \(status): \(text.printable())"
            )
        }
        struct Reply: Decodable {
            let username: String
            let secret: String

            private enum CodingKeys: String, CodingKey {
                case username = "Username"
                case secret = "Secret"
            }
        }
        guard let reply = try? JSONDecoder().decode(Reply.self, from: Data(output)) else {
            throw HTTPAccessError(.credentials, "\(self.program) printed something else than a credential in JSON")
        }
        if reply.username.isEmpty, reply.secret.isEmpty { return nil }
        // Docker's convention for refresh tokens.
        return reply.username == "<token>"
            ? .identityToken(reply.secret) : .password(username: reply.username, password: reply.secret)
    }

    private func run(_ server: String) throws -> (status: Int32, output: [UInt8]) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [self.program, "get"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        do {
            // The address fits into the pipe, so it is written while this process still holds the reading end:
            // a helper that ends early then cannot raise SIGPIPE here.
            try input.fileHandleForWriting.write(contentsOf: Data((server.prefix(1024) + "\n").utf8))
            try input.fileHandleForWriting.close()
            try process.run()
        } catch {
            throw HTTPAccessError(.credentials, "cannot run \(self.program): \(error)")
        }
        let bytes: [UInt8]
        do {
            bytes = try self.readAll(output.fileHandleForReading.fileDescriptor)
        } catch {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            throw error
        }
        let deadline = ContinuousClock.now + .seconds(5)
        while process.isRunning, ContinuousClock.now < deadline { usleep(5000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        guard process.terminationStatus != 127 else {
            throw HTTPAccessError(.credentials, "\(self.program), which Docker's configuration names, is not on PATH")
        }
        return (process.terminationStatus, bytes)
    }

    /// Reads to the end, a bound or the deadline.
    private func readAll(_ descriptor: Int32) throws -> [UInt8] {
        let deadline = ContinuousClock.now + self.timeout
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let milliseconds = max(0, min(left.components.seconds, 3600) * 1000 + 1)
            let ready = left > .zero ? poll(&poller, 1, Int32(milliseconds)) : 0
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else {
                throw HTTPAccessError(.credentials, "\(self.program) did not answer in \(self.timeout)")
            }
            let count = piece.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw HTTPAccessError(.credentials, "cannot read from \(self.program)") }
            if count == 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= Self.maximumOutput else {
                throw HTTPAccessError(.credentials, "\(self.program) printed more than \(Self.maximumOutput) bytes")
            }
        }
    }
}
