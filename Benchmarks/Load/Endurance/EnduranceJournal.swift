// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What publishers were told and readers have seen, to which every later reply is held.
final class EnduranceJournal: Sendable {
    /// What held for a collection at some moment.
    struct Entry: Sendable {
        /// The newest version of each role that somebody has seen.
        var newest: [String: Int64] = [:]
        /// Targets whose publication was acknowledged, or that a reader has seen.
        var names: Set<String> = []
    }

    struct Report: Sendable, Encodable {
        var acknowledged = 0
        /// Publications whose outcome the publisher was not told.
        var unknown = 0
        /// Publications that were refused because somebody else's came first.
        var conflicts = 0
        var reads = 0
        var unansweredReads = 0
        /// The longest time in which no publication was acknowledged.
        var longestPauseSeconds = 0.0
        var violations: [String] = []
    }

    private struct File: Hashable {
        let gun: String
        let role: String
        let version: Int64
    }

    private struct State {
        var report = Report()
        var entries: [String: Entry] = [:]
        var hashes: [File: String] = [:]
        var lastAcknowledged = ContinuousClock.now

        mutating func note(_ violation: String) {
            if self.report.violations.count < 20 { self.report.violations.append(violation) }
        }
    }

    private let state = Mutex(State())

    var report: Report { self.state.withLock { $0.report } }

    func entry(of gun: String) -> Entry {
        self.state.withLock { $0.entries[gun] ?? Entry() }
    }

    // MARK: What happened

    func acknowledged(_ name: String, in gun: String) {
        self.state.withLock { state in
            state.report.acknowledged += 1
            state.entries[gun, default: Entry()].names.insert(name)
            let now = ContinuousClock.now
            let pause = state.lastAcknowledged.duration(to: now) / .seconds(1)
            state.report.longestPauseSeconds = max(state.report.longestPauseSeconds, pause)
            state.lastAcknowledged = now
        }
    }

    func begin() { self.state.withLock { $0.lastAcknowledged = .now } }
    func unknown() { self.state.withLock { $0.report.unknown += 1 } }
    func conflict() { self.state.withLock { $0.report.conflicts += 1 } }
    func read(answered: Bool) {
        self.state.withLock { state in
            if answered { state.report.reads += 1 } else { state.report.unansweredReads += 1 }
        }
    }

    /// Somebody has this file from a server.
    /// - Parameter before: what held when it was asked for.
    func seen(
        _ role: String,
        _ version: Int64,
        sha256: String,
        in gun: String,
        since before: Entry,
        from server: String
    ) {
        self.state.withLock { state in
            if let newest = before.newest[role], version < newest {
                state.note("\(server): \(role) of \(gun) went back from version \(newest) to \(version)")
            }
            let file = File(gun: gun, role: role, version: version)
            if let known = state.hashes[file], known != sha256 {
                state.note("\(server): \(role) of \(gun), version \(version), has had other bytes before")
            }
            state.hashes[file] = sha256
            let newest = state.entries[gun]?.newest[role] ?? 0
            state.entries[gun, default: Entry()].newest[role] = max(newest, version)
        }
    }

    /// A reader has found these names.
    func seen(names: Set<String>, in gun: String, since before: Entry, from server: String) {
        self.state.withLock { state in
            if let missing = before.names.subtracting(names).first {
                state.note("\(server): \(missing) of \(gun) was there and is not")
            }
            state.entries[gun, default: Entry()].names.formUnion(names)
        }
    }

    func violation(_ text: String) { self.state.withLock { $0.note(text) } }

    /// The hashes of the versions of a role that were seen.
    func hashes(of role: String, in gun: String) -> [Int64: String] {
        self.state.withLock { state in
            var found: [Int64: String] = [:]
            for (file, hash) in state.hashes where file.gun == gun && file.role == role { found[file.version] = hash }
            return found
        }
    }
}
