// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Logging
import Synchronization

/// Users and rules as they are now: their files, read again when they change.
///
/// A file that cannot be used leaves what was read before in force, and is complained of once.
final class AccessDirectory: Sendable {
    /// Both at one moment.
    struct Snapshot: Sendable {
        var users = UsersFile()
        /// The costs of all users' hashes: what strangers are compared at.
        var costs: [Int] = []
        var rules = AccessRules.everyUser
    }

    private struct Versions {
        var users: FileVersion?
        var rules: FileVersion?
    }

    private let usersPath: String
    private let rulesPath: String?
    private let logger: Logger
    private let snapshot = Mutex(Snapshot())
    private let versions = Mutex(Versions())

    /// Reads both files. Blocks.
    /// - Throws: ``UsersFileError``, ``RulesError``.
    init(users: String, rules: String?, logger: Logger) throws {
        self.usersPath = users
        self.rulesPath = rules
        self.logger = logger
        self.versions.withLock { $0 = Versions(users: FileVersion(of: users), rules: rules.flatMap(FileVersion.init)) }
        try self.readUsers()
        if let rules { try self.readRules(rules) }
    }

    /// What holds now.
    var current: Snapshot { self.snapshot.withLock { $0 } }

    /// Looks whether a file has changed, and reads it then. Blocks.
    func refresh() {
        let users = FileVersion(of: self.usersPath)
        if self.versions.withLock({ $0.users != users }) {
            self.versions.withLock { $0.users = users }
            self.attempt("users") { try self.readUsers() }
        }
        guard let path = self.rulesPath else { return }
        let rules = FileVersion(of: path)
        if self.versions.withLock({ $0.rules != rules }) {
            self.versions.withLock { $0.rules = rules }
            self.attempt("rules") { try self.readRules(path) }
        }
    }

    private func attempt(_ what: String, _ read: () throws -> Void) {
        do {
            try read()
            self.logger.notice("\(what) read again")
        } catch {
            self.logger.error("the \(what) stay as they were: the file cannot be used", metadata: ["error": "\(error)"])
        }
    }

    private func readUsers() throws {
        let before = self.current.users.problems
        let users = try UsersFileEditor(path: self.usersPath).read()
        for problem in users.problems where !before.contains(problem) {
            self.logger.warning("a user cannot log in", metadata: ["line": "\(self.usersPath):\(problem)"])
        }
        let costs = users.hashes.values.map(\.cost).sorted()
        self.snapshot.withLock { snapshot in
            snapshot.users = users
            snapshot.costs = costs
        }
    }

    private func readRules(_ path: String) throws {
        let rules = try RulesFile.rules(path: path)
        self.snapshot.withLock { $0.rules = rules }
    }
}
