// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A program that is run in the foreground in place of this one: it has the terminal, and signals are for it.
struct ChildProcess: Sendable {
    let path: String
    let arguments: [String]
    let environment: [String: String]

    /// Runs it to its end. Blocks.
    /// - Parameters:
    ///   - output: where its standard output goes.
    ///   - input: its standard input; nil for that of this process.
    ///   - isSilent: whether its standard error goes nowhere.
    /// - Returns: its exit code; of one that a signal ended, 128 and the signal.
    /// - Throws: ``DockerFrontError`` with code `noDocker` or `docker`.
    func run(output: DockerOutput, input: [UInt8]?, isSilent: Bool = false) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let inputFile = try input.map(Self.file)
        defer { if let inputFile { close(inputFile) } }
        if let inputFile { posix_spawn_file_actions_adddup2(&actions, inputFile, STDIN_FILENO) }
        if isSilent { posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) }
        switch output {
        case .inherited:
            return try self.wait(for: try self.spawn(&actions))
        case .standardError:
            posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
            return try self.wait(for: try self.spawn(&actions))
        case .filtered(let filter):
            let channel = try OutputChannel(asTerminal: !isSilent && isatty(STDOUT_FILENO) == 1)
            posix_spawn_file_actions_adddup2(&actions, channel.writeEnd, STDOUT_FILENO)
            let identifier: pid_t
            do {
                defer { close(channel.writeEnd) }
                identifier = try self.spawn(&actions)
            } catch {
                close(channel.readEnd)
                throw error
            }
            return try self.wait(for: identifier) {
                channel.read { Console.write(filter.pass($0), to: STDOUT_FILENO) }
                Console.write(filter.finish(), to: STDOUT_FILENO)
                close(channel.readEnd)
            }
        }
    }

    // MARK: Starting

    private func spawn(_ actions: inout posix_spawn_file_actions_t) throws -> pid_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        sigfillset(&all)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var identifier: pid_t = 0
        let number = Self.withVector(self.arguments, self.environment) { arguments, variables in
            posix_spawn(&identifier, self.path, &actions, &attributes, arguments, variables)
        }
        guard number == 0 else {
            throw DockerFrontError(.noDocker, "cannot run \(self.path): \(String(cString: strerror(number)))")
        }
        return identifier
    }

    /// Gives a body the arguments and variables as C has them.
    static func withVector(
        _ arguments: [String],
        _ environment: [String: String],
        _ body: ([UnsafeMutablePointer<CChar>?], [UnsafeMutablePointer<CChar>?]) -> Int32
    ) -> Int32 {
        let arguments = arguments.map { strdup($0) }
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in arguments + variables { free(text) } }
        return body(arguments + [nil], variables + [nil])
    }

    /// Lets signals do again what they do in a program that has not touched them.
    static func restoreSignals() {
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE] { signal(number, SIG_DFL) }
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
    }

    /// A file without a name that holds these bytes, open at its beginning.
    private static func file(holding bytes: [UInt8]) throws -> Int32 {
        var template = Array((FileManager.default.temporaryDirectory.path + "/hallmark-docker.XXXXXX").utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw Self.failure("cannot make a temporary file", errno) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(template)
        Console.write(bytes, to: descriptor)
        guard lseek(descriptor, 0, SEEK_END) == off_t(bytes.count), lseek(descriptor, 0, SEEK_SET) == 0 else {
            close(descriptor)
            throw DockerFrontError(.storage, "cannot write \(bytes.count) bytes to a temporary file")
        }
        return descriptor
    }

    static func failure(_ what: String, _ number: Int32) -> DockerFrontError {
        DockerFrontError(.docker, "\(what): \(String(cString: strerror(number)))")
    }

    // MARK: Waiting

    /// Waits for the end. What a terminal sends goes to both processes, and it is for the other to decide; what is sent to this
    /// one alone is passed on.
    private func wait(for identifier: pid_t, meanwhile: () -> Void = {}) throws -> Int32 {
        let forwarded = [SIGTERM, SIGHUP]
        let ignored = [SIGINT, SIGQUIT]
        let old = (forwarded + ignored).map { ($0, signal($0, SIG_IGN)) }
        let sources = forwarded.map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { kill(identifier, number) }
            source.activate()
            return source
        }
        defer {
            for source in sources { source.cancel() }
            for (number, handler) in old { signal(number, handler) }
        }
        meanwhile()
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0 {
            guard errno == EINTR else { throw Self.failure("cannot wait for docker", errno) }
        }
        let number = status & 0x7F
        return number == 0 ? (status >> 8) & 0xFF : 128 + number
    }
}
