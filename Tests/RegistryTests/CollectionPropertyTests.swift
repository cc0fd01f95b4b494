// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import Synchronization
import Testing

@testable import Registry

/// Nothing that somebody needs is ever lost, and everything else goes in the end: whatever comes between what.
@Suite("Collection beside everything else", .serialized)
struct CollectionPropertyTests {
    private static let tables = [
        "repositories", "blobs", "repository_blobs", "manifests", "manifest_references", "tags", "trash", "chores",
    ]

    /// How many interleavings are tried; more by COLLECTION_RUNS.
    private static let runs = ProcessInfo.processInfo.environment["COLLECTION_RUNS"].flatMap { UInt64($0) } ?? 150
    /// Which one to begin with, by COLLECTION_SEED.
    private static let firstSeed = ProcessInfo.processInfo.environment["COLLECTION_SEED"].flatMap { UInt64($0) } ?? 1

    private static func withFastDatabase(_ body: (any SQLDatabase) async throws -> Void) async throws {
        // Where syncs cost nothing, if there is such a place.
        let base = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm/" : NSTemporaryDirectory()
        let directory = base + "collection-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let database = try await SQLiteDatabase(path: directory + "/registry.sqlite")
        do {
            _ = try await RegistryStore(database: database)
            try await body(database)
        } catch {
            try await database.close()
            throw error
        }
        try await database.close()
    }

    @Test("in any order of steps, with processes killed between any two")
    func interleavings() async throws {
        var counts: [String: Int] = [:]
        try await Self.withFastDatabase { database in
            for seed in Self.firstSeed..<(Self.firstSeed + Self.runs) {
                let world = CollectionWorld(database: database)
                try await Self.run(world, seed: seed)
                counts.merge(world.counts, uniquingKeysWith: +)
                try #require(world.problems.isEmpty, "seed \(seed): \(world.problems.joined(separator: "\n"))")
                try await database.write { for table in Self.tables { try $0.execute("DELETE FROM \(table)") } }
            }
        }
        if ProcessInfo.processInfo.environment["COLLECTION_RUNS"] != nil { print(counts.sorted { $0.key < $1.key }) }
        // It must have happened to prove anything.
        for what in [
            "relied on a blob", "relied on a manifest", "mounted", "uploaded", "pushed a manifest",
            "pulled an index", "deleted a tag",
            "deleted a manifest", "collected blobs", "collected manifests", "collected links", "collected orphans",
            "was killed",
        ] { #expect(counts[what, default: 0] > 0, "nobody \(what)") }
    }

    private static func run(_ world: CollectionWorld, seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let processes = [try await world.start(), try await world.start(), try await world.start()]
        var workers: [@Sendable () async -> Void] = []
        for number in 0..<3 {
            let process = processes.randomElement(using: &generator) ?? 1
            let clientSeed = generator.next()
            workers.append { await world.client(number, at: process, seed: clientSeed, actions: 6) }
        }
        for process in processes.prefix(2) { workers.append { await world.collect(at: process, times: 4) } }
        // Some time goes by with each step; now and then a long one. Twice a process is killed.
        var lives = Int.random(in: 0...2, using: &generator)
        let pace = [10, 40, 160].randomElement(using: &generator) ?? 10
        await world.stepper.run(workers, generator: &generator) { generator in
            world.clock.advance(by: TimeInterval(Int.random(in: 0...pace, using: &generator)))
            if Int.random(in: 0..<60, using: &generator) == 0 {
                world.clock.advance(by: TimeInterval(CollectionWorld.grace))
            }
            guard lives > 0, Int.random(in: 0..<80, using: &generator) == 0 else { return nil }
            lives -= 1
            world.noteKilled()
            return processes.randomElement(using: &generator)
        }
        try await world.settle()
    }

    @Test("with true concurrency on PostgreSQL", .enabled(if: DatabaseDriver.hasPostgreSQL))
    func concurrently() async throws {
        try await DatabaseDriver.postgreSQL.withDatabase { database in
            _ = try await RegistryStore(database: database)
            let world = CollectionWorld(database: database)
            let processes = [try await world.start(), try await world.start()]
            let isOver = Ending()
            await withTaskGroup(of: Void.self) { collections in
                for process in processes {
                    collections.addTask {
                        while !isOver.hasCome {
                            await world.collect(at: process, times: 1)
                            await Task.yield()
                        }
                    }
                }
                await withTaskGroup(of: Void.self) { clients in
                    for number in 0..<4 {
                        let process = processes[number % 2]
                        clients.addTask {
                            var generator = SeededGenerator(seed: UInt64(number))
                            for round in 0..<12 {
                                await world.client(
                                    number,
                                    at: process,
                                    seed: generator.next(),
                                    actions: 2
                                )
                                // Time goes by between what clients do, so that nobody is late.
                                world.clock.advance(by: TimeInterval(round % 3 == 0 ? CollectionWorld.grace / 12 : 0))
                            }
                        }
                    }
                }
                isOver.come()
            }
            try await world.settle()
            #expect(world.problems == [])
            #expect(world.counts["collected manifests", default: 0] > 0)
        }
    }

    private final class Ending: Sendable {
        private let state = Mutex(false)
        var hasCome: Bool { self.state.withLock { $0 } }
        func come() { self.state.withLock { $0 = true } }
    }
}
