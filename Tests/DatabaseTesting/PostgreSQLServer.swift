// SPDX-License-Identifier: Apache-2.0

package import Database
import Foundation

/// A real PostgreSQL server on a socket of its own, in a directory that goes with it. A shell minds it, and ends it and
/// removes the directory when this process has ended, however that was.
package actor PostgreSQLServer {
    /// What went wrong, in words.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// One for all tests of the process, started by the first that needs it. What it stores need not outlive a power cut.
    package static let shared = PostgreSQLServer(settings: ["fsync=off"])

    /// Whether the server's programs are there.
    package static let isInstalled = PostgreSQLServer.programs != nil

    private static let programs: String? = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.compactMap { Int($0) }.sorted().reversed().map { "\(root)/\($0)/bin" }
            .first { FileManager.default.isExecutableFile(atPath: "\($0)/initdb") }
    }()

    private let settings: [String]
    private let port: Int?
    private var minder: Minder?
    private var schemas = 0

    /// - Parameter port: where it speaks TLS on 127.0.0.1, with a certificate of its own; nil for its socket alone.
    package init(settings: [String] = [], port: Int? = nil) {
        self.port = port
        let network =
            port.map {
                [
                    "listen_addresses=127.0.0.1", "port=\($0)", "ssl=on", "ssl_cert_file=../server.crt",
                    "ssl_key_file=../server.key",
                ]
            } ?? ["listen_addresses=", "port=5432"]
        self.settings = network + settings
    }

    /// The directory of its socket.
    package func directory() async throws -> String {
        if let minder { return minder.directory }
        guard let programs = Self.programs else {
            throw Failure(description: "PostgreSQL is not installed; run scripts/install-test-dependencies")
        }
        // Starting blocks this actor's thread for a second or two: the others who ask have to wait for it anyway.
        let minder = try Minder(programs: programs, port: self.port ?? 5432, settings: self.settings)
        self.minder = minder
        return minder.directory
    }

    /// How to reach a schema that nobody else has.
    package func configuration() async throws -> PostgreSQLConfiguration {
        let directory = try await self.directory()
        self.schemas += 1
        return PostgreSQLConfiguration(
            connection: "host=\(directory) user=hallmark dbname=postgres",
            schema: "test_\(self.schemas)"
        )
    }

    /// Kills the server and what it runs, with SIGKILL.
    package func crash() throws { try self.minder?.command("crash") }

    /// Starts it again.
    package func restart() throws { try self.minder?.command("start") }

    /// Ends it, and removes what it stored.
    package func end() { self.minder = nil }

    /// Runs SQL through psql.
    package func psql(_ sql: String, user: String = "hallmark") async throws {
        let directory = try await self.directory()
        let psql = Process()
        psql.executableURL = URL(filePath: "\(Self.programs ?? "")/psql")
        psql.arguments = [
            "-X", "-q", "-h", directory, "-U", user, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql,
        ]
        psql.standardOutput = FileHandle.nullDevice
        try psql.run()
        psql.waitUntilExit()
        guard psql.terminationStatus == 0 else { throw Failure(description: "psql failed: \(sql)") }
    }
}

/// The shell that minds a server.
private final class Minder {
    let directory: String
    private let process = Process()
    private let commands = Pipe()
    private let answers = Pipe()

    private static let script = """
        trap '' INT HUP
        set -e
        bin=$1 port=$2; shift 2
        directory=$(mktemp -d /tmp/hallmark-postgresql.XXXXXX)
        exec 2>"$directory/log"
        as=
        if [ "$(id -u)" = 0 ]; then
            chown postgres "$directory"
            as='setpriv --reuid=postgres --regid=postgres --init-groups'
        fi
        cd "$directory"
        # A locale that does not sort by bytes, so that relying on one shows.
        $as "$bin/initdb" -D "$directory/data" -A trust -U hallmark -E UTF8 --locale=C.UTF-8 --locale-provider=icu \
            --icu-locale=en --no-sync >&2
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.crt \
            -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 >&2
        [ -z "$as" ] || chown postgres server.key
        { echo 'local all scram scram-sha-256'; cat data/pg_hba.conf; } >hba && cat hba >data/pg_hba.conf
        start() {
            $as "$bin/postgres" -D "$directory/data" -k "$directory" -c max_connections=400 "$@" >&2 </dev/null &
            server=$!
            until "$bin/pg_isready" -q -h "$directory" -p "$port"; do
                kill -0 "$server"
                sleep 0.02
            done
        }
        start "$@"
        echo "$directory"
        while read -r command; do
            case $command in
            crash)
                kill -KILL "$server" $(pgrep -P "$server") || true
                wait "$server" || true
                ;;
            start) start "$@" ;;
            esac
            echo done
        done
        kill -QUIT "$server" || true
        wait "$server" || true
        rm -rf "$directory"
        """

    init(programs: String, port: Int, settings: [String]) throws {
        // Held by nobody but this process, so that its end is the end of the shell's input.
        for handle in [self.commands.fileHandleForWriting, self.answers.fileHandleForReading] {
            _ = fcntl(handle.fileDescriptor, F_SETFD, FD_CLOEXEC)
        }
        self.process.executableURL = URL(filePath: "/bin/sh")
        self.process.arguments =
            ["-c", Self.script, "minder", programs, "\(port)"] + settings.flatMap { ["-c", $0] }
        self.process.standardInput = self.commands
        self.process.standardOutput = self.answers
        try self.process.run()
        self.directory = try Self.line(from: self.answers.fileHandleForReading)
    }

    deinit {
        try? self.commands.fileHandleForWriting.close()
        self.process.waitUntilExit()
    }

    func command(_ command: String) throws {
        try self.commands.fileHandleForWriting.write(contentsOf: Data("\(command)\n".utf8))
        _ = try Self.line(from: self.answers.fileHandleForReading)
    }

    private static func line(from handle: FileHandle) throws -> String {
        var bytes: [UInt8] = []
        while let byte = try handle.read(upToCount: 1)?.first {
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        throw PostgreSQLServer.Failure(description: "the PostgreSQL server for the tests could not be started")
    }
}
