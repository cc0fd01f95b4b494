// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
import Synchronization
import Testing

@testable import TrustServer

/// A database whose newest versions the test sets, and which answers when the test lets it.
private final class HeldDatabase: Sendable {
    private struct State {
        var version: Int64 = 1
        var queries: [[GUN]] = []
        var isOpen = false
        var failure: (any Error)?
        var held: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var queries: [[GUN]] { self.state.withLock { $0.queries } }

    func set(version: Int64) { self.state.withLock { $0.version = version } }
    func fail(_ error: any Error) { self.state.withLock { $0.failure = error } }

    /// From here on it answers at once.
    func open() {
        let held = self.state.withLock { state in
            state.isOpen = true
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    func answer(_ guns: [GUN]) async throws -> [TimestampPointer?] {
        try Task.checkCancellation()
        // What it answers is what was true when it was asked.
        let version = self.state.withLock { state in
            state.queries.append(guns)
            return state.version
        }
        await withCheckedContinuation { continuation in
            let isOpen = self.state.withLock { state in
                if !state.isOpen { state.held.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
        if let failure = self.state.withLock({ $0.failure }) { throw failure }
        return guns.map { $0.text == "missing" ? nil : TimestampPointer(version: version, sha256: $0.text) }
    }
}

private struct Failure: Error {}

@Suite("Asking for the newest timestamps")
struct PointerQueriesTests {
    private static let guns = ["a", "b", "missing"].map { try? GUN($0) }.compactMap(\.self)

    /// Two queries under way, and `count` readers who wait for the next.
    private static func holding(
        _ database: HeldDatabase,
        _ queries: PointerQueries,
        _ readers: [GUN],
        in group: inout ThrowingTaskGroup<(GUN, TimestampPointer?), any Error>
    ) async throws {
        for gun in Self.guns.prefix(2) { group.addTask { (gun, try await queries.pointer(of: gun)) } }
        while database.queries.count < 2 { await Task.yield() }
        for gun in readers { group.addTask { (gun, try await queries.pointer(of: gun)) } }
        while queries.waitingCount < readers.count { await Task.yield() }
    }

    @Test("who asks while queries run gets what was true when it asked, by one more query for all")
    func coalescing() async throws {
        let database = HeldDatabase()
        let queries = PointerQueries(query: database.answer)
        let readers = (0..<30).map { Self.guns[$0 % 3] }
        try await withThrowingTaskGroup(of: (GUN, TimestampPointer?).self) { group in
            try await Self.holding(database, queries, readers, in: &group)
            database.set(version: 2)
            database.open()
            var answers: [Int64: Int] = [:]
            for try await (gun, pointer) in group {
                #expect(pointer?.sha256 == (gun.text == "missing" ? nil : gun.text))
                answers[pointer?.version ?? 0, default: 0] += 1
            }
            #expect(answers == [1: 2, 2: 20, 0: 10])
        }
        #expect(database.queries.count == 3)
        #expect(Set(database.queries[2]) == Set(Self.guns))
        // And nothing is left behind: the next query is made at once.
        #expect(try await queries.pointer(of: Self.guns[0])?.version == 2)
    }

    @Test("no query asks for more than its share")
    func bounds() async throws {
        let database = HeldDatabase()
        let queries = PointerQueries(query: database.answer)
        let many = try (0..<200).map { try GUN("gun/\($0)") }
        try await withThrowingTaskGroup(of: (GUN, TimestampPointer?).self) { group in
            try await Self.holding(database, queries, many, in: &group)
            database.open()
            for try await (gun, pointer) in group { #expect(pointer?.sha256 == gun.text) }
        }
        #expect(database.queries.dropFirst(2).map(\.count).max() ?? 0 <= 64)
        #expect(Set(database.queries.joined()).count == 202)
    }

    @Test("readers who leave do not take the others with them")
    func cancellation() async throws {
        let database = HeldDatabase()
        let queries = PointerQueries(query: database.answer)
        try await withThrowingTaskGroup(of: (GUN, TimestampPointer?).self) { group in
            try await Self.holding(database, queries, [], in: &group)
            var leaving: [Task<TimestampPointer?, any Error>] = []
            for index in 0..<3 {
                leaving.append(Task { try await queries.pointer(of: Self.guns[0]) })
                while queries.waitingCount < index + 1 { await Task.yield() }
            }
            group.addTask { (Self.guns[1], try await queries.pointer(of: Self.guns[1])) }
            while queries.waitingCount < 4 { await Task.yield() }
            for task in leaving { task.cancel() }
            database.open()
            for try await (gun, pointer) in group { #expect(pointer?.sha256 == gun.text) }
            for task in leaving { await #expect(throws: CancellationError.self) { try await task.value } }
        }
        #expect(try await queries.pointer(of: Self.guns[0])?.version == 1)
    }

    @Test("all who waited for a query hear of its failure, and later ones are made")
    func failure() async throws {
        let database = HeldDatabase()
        let queries = PointerQueries(query: database.answer)
        database.fail(Failure())
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<12 {
                group.addTask {
                    do {
                        _ = try await queries.pointer(of: Self.guns[0])
                        return true
                    } catch {
                        return !(error is Failure)
                    }
                }
            }
            database.open()
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes == [Bool](repeating: false, count: 12))
    }
}
