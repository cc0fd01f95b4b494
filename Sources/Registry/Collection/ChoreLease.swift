// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Work on a registry that one process does at a time.
enum Chore: String, Sendable {
    case collection
    /// The walk over the storage for bytes that nothing names; done by whoever collects.
    case orphans
    case scrub
}

/// Who may do a chore for now. It is lost when it was not renewed in time, or by whoever finds that its holder has died.
///
/// What is done with it must be right without it, too: a process that was asleep for long enough does not know that another has
/// taken over until its next transaction.
struct ChoreLease: Sendable, Hashable {
    /// For how many seconds it is good without being renewed.
    static let duration: Int64 = 60

    let chore: Chore
    let holder: String
}

/// Another process has taken a chore over.
struct ChoreLeaseLost: Error, CustomStringConvertible {
    let chore: Chore

    var description: String { "another process has taken over: \(self.chore.rawValue)" }
}

/// What is known of a chore.
struct ChoreState: Sendable, Hashable {
    var holder = ""
    /// Unix seconds, as all of these.
    var leaseUntil: Int64 = 0
    /// When what is unfinished was begun.
    var startedAt: Int64?
    /// How far it is.
    var position: String?
    var finishedAt: Int64?
}

extension RegistryStore {
    /// What is known of a chore.
    func state(of chore: Chore) async throws -> ChoreState {
        try await self.database.query(
            "SELECT holder, lease_until, started_at, position, finished_at FROM chores WHERE name = ?",
            .text(chore.rawValue)
        ).first.map {
            try ChoreState(
                holder: $0.text(0),
                leaseUntil: $0.integer(1),
                startedAt: $0.optionalInteger(2),
                position: $0.optionalText(3),
                finishedAt: $0.optionalInteger(4)
            )
        } ?? ChoreState()
    }

    /// Takes a chore, if nobody has it.
    /// - Parameter dead: A holder that is known to have died.
    func acquire(_ lease: ChoreLease, insteadOf dead: String?, at now: Int64) async throws -> Bool {
        try await self.database.write(locking: [.exclusive("chores")]) { connection in
            try connection.execute(
                """
                INSERT INTO chores (name, holder, lease_until) VALUES (?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
                WHERE chores.lease_until <= ? OR chores.lease_until > ? OR chores.holder = ? OR chores.holder = ?
                """,
                .text(lease.chore.rawValue),
                .text(lease.holder),
                .integer(now + ChoreLease.duration),
                .integer(now),
                // Further ahead than anybody may take it: by a clock that was wrong.
                .integer(now + 2 * ChoreLease.duration),
                .text(lease.holder),
                .text(dead ?? lease.holder)
            ) == 1
        }
    }

    /// Holds on to a chore, within the transaction that does a part of it.
    /// - Throws: `ChoreLeaseLost`.
    static func renew(_ lease: ChoreLease, at now: Int64, on connection: any SQLConnection) throws {
        let renewed = try connection.execute(
            "UPDATE chores SET lease_until = ? WHERE name = ? AND holder = ?",
            .integer(now + ChoreLease.duration),
            .text(lease.chore.rawValue),
            .text(lease.holder)
        )
        guard renewed == 1 else { throw ChoreLeaseLost(chore: lease.chore) }
    }

    /// Gives a chore back.
    /// - Parameter finished: Whether all of it was done.
    func release(_ lease: ChoreLease, finished: Bool, at now: Int64) async throws {
        let done = """
            UPDATE chores SET lease_until = 0, started_at = NULL, position = NULL,
            finished_at = CASE WHEN started_at > ? THEN started_at ELSE ? END
            """
        try await self.database.write(locking: [.exclusive("chores")]) { connection in
            let parameters: [SQLValue] = [.text(lease.chore.rawValue), .text(lease.holder)]
            if finished {
                try connection.execute(
                    "\(done) WHERE name = ? AND holder = ?",
                    [.integer(now), .integer(now)] + parameters
                )
            } else {
                try connection.execute("UPDATE chores SET lease_until = 0 WHERE name = ? AND holder = ?", parameters)
            }
        }
    }

    /// Notes when a chore was done that needs no lease of its own.
    func noteFinished(_ chore: Chore, at now: Int64) async throws {
        try await self.database.write(locking: [.exclusive("chores")]) { connection in
            try connection.execute(
                """
                INSERT INTO chores (name, holder, lease_until, finished_at) VALUES (?, '', 0, ?)
                ON CONFLICT (name) DO UPDATE SET finished_at = excluded.finished_at
                """,
                .text(chore.rawValue),
                .integer(now)
            )
        }
    }
}

/// Names a process among those that use a registry, so that another one on the same machine can tell that it has died.
package struct ChoreHolder: Sendable, Hashable {
    private let machine: String
    private let process: Int32
    private let number: UInt64

    /// The process that asks, with a number of its own for each time.
    package static func new() -> ChoreHolder {
        ChoreHolder(
            machine: Self.machine,
            process: getpid(),
            number: UInt64.random(in: .min ... .max)
        )
    }

    var text: String { "\(self.machine) \(self.process) \(String(self.number, radix: 36))" }

    /// Whether a holder was a process of this machine that is no more. False when that cannot be told.
    static func isDead(_ text: String) -> Bool {
        let parts = text.split(separator: " ")
        guard parts.count == 3, parts[0] == self.machine, let process = Int32(parts[1]), process > 0 else {
            return false
        }
        return kill(process, 0) == -1 && errno == ESRCH
    }

    /// The running system and its space of process numbers, where they can be told from others'.
    private static let machine: String = {
        let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = readlink("/proc/self/ns/pid", &buffer, buffer.count)
        let space = count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : ""
        let name = (boot + space).filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        return name.isEmpty ? "unknown-\(UInt64.random(in: .min ... .max))" : name
    }()
}
