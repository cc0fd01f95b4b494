// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// One connection to a PostgreSQL server, with the statements that were prepared on it. It belongs to one thread, which may
/// wait here.
final class PostgreSQLSession {
    /// How many statements are kept prepared; their texts come from our sources, so there are few.
    private static let maximumPlans = 256
    /// How much longer than the server's own limit for a statement the answer is waited for.
    private static let grace: Int64 = 10_000

    private struct Plan {
        /// Nil for a statement that is sent as it is.
        let name: String?
        let sql: String
        let parameterTypes: [UInt32]
    }

    private let library: LibPQ
    private let handle: LibPQ.Handle
    private let pipeline: LibPQ.Pipeline?
    private let answerLimit: Int64
    private let usesTLS: Bool
    private var plans: [String: Plan] = [:]
    private var namesGiven = 0
    /// Whether nothing can be sent any more.
    private(set) var isBroken = false

    /// Connects, and sets what our transactions rely on.
    /// - Throws: ``PostgreSQLFailure`` of kind `disconnected`; ``DatabaseError`` when trying again is of no use.
    init(_ configuration: PostgreSQLConfiguration) throws {
        let library = try LibPQ.load()
        self.library = library
        self.answerLimit = configuration.statementTimeout.addingReportingOverflow(Self.grace).partialValue
        try Self.check(configuration.connection, library)
        // What stands before the connection string is a default, what stands after it is not to be changed.
        let parameters: [(String, String)] = [
            ("fallback_application_name", "hallmark"), ("connect_timeout", "10"), ("keepalives_idle", "30"),
            ("keepalives_interval", "10"), ("keepalives_count", "3"), ("tcp_user_timeout", "30000"),
            ("target_session_attrs", "read-write"), ("dbname", configuration.connection), ("client_encoding", "UTF8"),
        ]
        let handle = Self.withTexts(parameters.map(\.0)) { keywords in
            Self.withTexts(parameters.map(\.1)) { values in library.connect(keywords, values, 1) }
        }
        guard let handle else { throw PostgreSQLFailure(disconnected: "no memory for a connection to PostgreSQL") }
        self.handle = handle
        self.usesTLS = library.usesTLS(handle) == 1
        guard library.status(handle) == LibPQ.connectionOK else {
            self.pipeline = nil
            throw PostgreSQLFailure(disconnected: Self.message(library, handle))
        }
        // Notices, such as that a table is there already, would go to standard error.
        _ = library.setNoticeProcessor(handle, { _, _ in }, nil)
        let version = library.serverVersion(handle)
        guard version >= 130_000 else {
            self.pipeline = nil
            throw DatabaseError(
                code: .unavailable,
                message: "the server is PostgreSQL \(version / 10000); version 13 or newer is needed"
            )
        }
        guard library.setNonBlocking(handle, 1) == 0 else {
            self.pipeline = nil
            throw PostgreSQLFailure(disconnected: Self.message(library, handle))
        }
        self.pipeline = configuration.sendsAhead && library.pipeline?.enter(handle) == 1 ? library.pipeline : nil
        try self.prepareSession(configuration)
    }

    deinit {
        self.library.finish(self.handle)
    }

    /// Limits, and durable commits whatever the server's default is.
    private func prepareSession(_ configuration: PostgreSQLConfiguration) throws {
        _ = try self.exchange([
            .direct(
                """
                SELECT set_config('statement_timeout', '\(configuration.statementTimeout)', false), \
                set_config('idle_in_transaction_session_timeout', '\(self.answerLimit)', false), \
                set_config('synchronous_commit', \
                replace(current_setting('synchronous_commit'), 'off', 'on'), false)
                """
            )
        ])
        guard let schema = configuration.schema else { return }
        // The name is our own, but a quote in it must not end it.
        let quoted = "\"" + schema.replacingOccurrences(of: "\"", with: "\"\"") + "\""
        _ = try self.exchange([.direct("SET search_path TO \(quoted)")])
        let known = try self.run(
            [SQLStatement("SELECT 1 FROM pg_namespace WHERE nspname = ?", .text(schema))],
            after: []
        )
        guard try known.first?.rows().isEmpty == true else { return }
        // Several may do this at once.
        _ = try self.exchange([
            .direct("BEGIN"), .direct("SELECT pg_advisory_xact_lock(hashtextextended('hallmark schema', 0))"),
            .direct("CREATE SCHEMA IF NOT EXISTS \(quoted)"), .direct("COMMIT"),
        ])
    }

    // MARK: - Statements

    /// Runs statements, in as few round trips as there can be, after others that open the transaction.
    /// - Throws: ``PostgreSQLFailure``; ``DatabaseError`` when a parameter is one that PostgreSQL cannot hold.
    func run(_ statements: [SQLStatement], after opening: [SQLStatement]) throws -> [PostgreSQLResult] {
        let plans = try self.plans(for: opening + statements)
        let messages = try zip(opening + statements, plans).map { statement, plan -> PostgreSQLMessage in
            guard let name = plan.name else { return .direct(plan.sql) }
            let parameters = try statement.parameters.enumerated().map { index, value in
                try PostgreSQLValue.parameter(
                    value,
                    type: plan.parameterTypes.indices.contains(index) ? plan.parameterTypes[index] : nil
                )
            }
            return .execute(name, parameters, sql: statement.sql)
        }
        return Array(try self.exchange(messages).dropFirst(opening.count))
    }

    /// Sends one statement that has no parameters, such as COMMIT.
    @discardableResult
    func command(_ sql: String) throws -> PostgreSQLResult? {
        try self.exchange([.direct(sql)]).last
    }

    /// Forgets what was prepared, because the server has, or because it no longer fits.
    func forgetPlans() throws {
        self.plans = [:]
        try self.command("DEALLOCATE ALL")
    }

    private func plans(for statements: [SQLStatement]) throws -> [Plan] {
        var unknown: [Plan] = []
        var keys: [String] = []
        for statement in statements where self.plans[statement.sql] == nil && !keys.contains(statement.sql) {
            let sql = PortableSQL.postgreSQL(statement.sql)
            guard Self.isWorthPreparing(sql) else {
                continue
            }
            self.namesGiven += 1
            unknown.append(Plan(name: "h\(self.namesGiven)", sql: sql, parameterTypes: []))
            keys.append(statement.sql)
        }
        if self.plans.count + unknown.count > Self.maximumPlans { try self.forgetPlans() }
        if !unknown.isEmpty {
            let messages = unknown.flatMap { plan -> [PostgreSQLMessage] in
                guard let name = plan.name else { return [] }
                return [.prepare(name, plan.sql), .describe(name, sql: plan.sql)]
            }
            let results = try self.exchange(messages)
            for (index, (key, plan)) in zip(keys, unknown).enumerated() where results.indices.contains(2 * index + 1) {
                let types = results[2 * index + 1].parameterTypes
                self.plans[key] = Plan(name: plan.name, sql: plan.sql, parameterTypes: types)
            }
        }
        return statements.map { statement in
            self.plans[statement.sql]
                ?? Plan(name: nil, sql: PortableSQL.postgreSQL(statement.sql), parameterTypes: [])
        }
    }

    /// Definitions are run once, and control statements have nothing to plan.
    private static func isWorthPreparing(_ sql: String) -> Bool {
        let first = sql.prefix { $0.isLetter }.uppercased()
        return ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES"].contains(first)
    }

    // MARK: - Messages

    /// Sends the messages and takes all their answers; those after one that fails are not run.
    private func exchange(_ messages: [PostgreSQLMessage]) throws -> [PostgreSQLResult] {
        guard !self.isBroken else { throw PostgreSQLFailure(disconnected: "the connection was lost") }
        let deadline = ContinuousClock.now + .milliseconds(self.answerLimit)
        var results: [PostgreSQLResult] = []
        var failure: PostgreSQLFailure?
        if let pipeline {
            for message in messages { try self.send(message) }
            guard pipeline.sync(self.handle) == 1 else { throw self.lost() }
            for message in messages {
                let (result, failed) = try self.answer(to: message, by: deadline)
                failure = failure ?? failed
                if let result { results.append(result) }
            }
            // The answer to the synchronisation itself; nothing follows it.
            guard try self.nextResult(by: deadline)?.status == LibPQ.pipelineSync else {
                throw self.lost("the server's answers are out of step")
            }
        } else {
            for message in messages where failure == nil {
                try self.send(message)
                let (result, failed) = try self.answer(to: message, by: deadline)
                failure = failed
                if let result { results.append(result) }
            }
        }
        if let failure {
            if failure.kind == .disconnected { self.isBroken = true }
            throw failure
        }
        guard results.count == messages.count else { throw self.lost("the server's answers are out of step") }
        return results
    }

    private func send(_ message: PostgreSQLMessage) throws {
        let sent: CInt =
            switch message {
            case .direct(let sql): self.library.sendQueryParameters(self.handle, sql, 0, nil, nil, nil, nil, 1)
            case .prepare(let name, let sql): self.library.sendPrepare(self.handle, name, sql, 0, nil)
            case .describe(let name, _): self.library.sendDescribePrepared(self.handle, name)
            case .execute(let name, let parameters, _):
                PostgreSQLMessage.withPointers(to: parameters) { values, lengths, formats in
                    self.library.sendQueryPrepared(
                        self.handle,
                        name,
                        CInt(clamping: parameters.count),
                        values,
                        lengths,
                        formats,
                        1
                    )
                }
            }
        guard sent == 1 else { throw self.lost() }
    }

    /// All of the answer to one message: a result, or why there is none.
    private func answer(
        to message: PostgreSQLMessage,
        by deadline: ContinuousClock.Instant
    ) throws -> (PostgreSQLResult?, PostgreSQLFailure?) {
        var first: PostgreSQLResult?
        while let result = try self.nextResult(by: deadline) { first = first ?? result }
        guard let first else { throw self.lost() }
        switch first.status {
        case LibPQ.commandOK, LibPQ.tuplesOK: return (first, nil)
        case LibPQ.pipelineAborted: return (nil, nil)
        default:
            let failure = first.failure(of: message.sql)
            guard self.library.status(self.handle) == LibPQ.connectionOK else { throw self.lost(failure.error.message) }
            return (nil, failure)
        }
    }

    /// Waits for the next result; nil ends those of one message.
    private func nextResult(by deadline: ContinuousClock.Instant) throws -> PostgreSQLResult? {
        while true {
            let unsent = self.library.flush(self.handle)
            guard unsent >= 0 else { throw self.lost() }
            if self.library.isBusy(self.handle) == 0 {
                return self.library.getResult(self.handle).map { PostgreSQLResult($0, self.library) }
            }
            let remaining = ContinuousClock.now.duration(to: deadline) / .milliseconds(1)
            guard remaining > 0 else { throw self.lost("the server does not answer") }
            var waiting = pollfd(
                fd: self.library.socket(self.handle),
                events: Int16(POLLIN) | (unsent == 1 ? Int16(POLLOUT) : 0),
                revents: 0
            )
            let ready = poll(&waiting, 1, CInt(min(remaining.rounded(.up), self.usesTLS ? 20 : 60_000)))
            guard ready >= 0 || errno == EINTR else { throw self.lost() }
            // What came in may lie decrypted in the TLS library, of which the socket does not tell.
            if ready > 0 || self.usesTLS, self.library.consumeInput(self.handle) == 0 { throw self.lost() }
        }
    }

    private func lost(_ reason: String? = nil) -> PostgreSQLFailure {
        self.isBroken = true
        return PostgreSQLFailure(
            disconnected: "the connection was lost: \(reason ?? Self.message(self.library, self.handle))"
        )
    }

    // MARK: - Connecting

    /// The library's own words, in one line.
    private static func message(_ library: LibPQ, _ handle: LibPQ.Handle) -> String {
        let text = library.errorMessage(handle).map { String(cString: $0) } ?? ""
        return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
            .joined(separator: "; ")
    }

    /// - Throws: ``DatabaseError`` when libpq cannot read the connection string; of which nothing is shown, for it may hold a
    ///   password.
    private static func check(_ connection: String, _ library: LibPQ) throws {
        guard connection.contains("=") || connection.contains("://") else { return }
        var reason: UnsafeMutablePointer<CChar>?
        if let options = library.parseOptions(connection, &reason) {
            library.freeOptions(options)
            return
        }
        defer { library.freeMemory(reason) }
        // libpq quotes what it did not understand.
        let text = reason.map { String(cString: $0) } ?? "no memory"
        let words = text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .map { $0.offset.isMultiple(of: 2) ? String($0.element) : "…" }.joined()
        throw DatabaseError(
            code: .other,
            message: "the connection string of the database cannot be read: "
                + words.trimmingCharacters(in: .whitespacesAndNewlines)
                + "; expected postgres://user@host:port/name or key=value pairs"
        )
    }

    /// The texts as a C array that ends in nil.
    private static func withTexts<Result>(_ texts: [String], _ body: (LibPQ.Texts?) -> Result) -> Result {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        let pointers: [UnsafePointer<CChar>?] = copies.map { $0.map { UnsafePointer($0) } } + [nil]
        return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}
