// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import HTTPService
import NIOCore
import OCI
import Synchronization

@testable import Registry

/// Random numbers that are the same for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// Lets tasks go on one at a time, each from one step to its next, in an order that a seed decides. Steps are what touches the
/// database or the storage: a transaction, a file that comes or goes. A process may be killed between any two.
final class CollectionStepper: Sendable {
    /// A process was killed.
    struct Killed: Error {}

    private struct Waiting {
        let worker: Int
        let process: Int
        let order: Int
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var waiting: [Waiting] = []
        var running = 0
        var steps = 0
        var dead: Set<Int> = []
        var isStepping = false
        var whenQuiet: CheckedContinuation<Void, Never>?
    }

    @TaskLocal static var worker = 0
    private let state = Mutex(State())

    /// To be called before each step.
    func pass(_ process: Int) async throws {
        let isStepping = try self.state.withLock { state in
            guard !state.dead.contains(process) else { throw Killed() }
            return state.isStepping
        }
        guard isStepping else { return }
        let worker = Self.worker
        try await withCheckedThrowingContinuation { continuation in
            let quiet = self.state.withLock { state in
                state.steps += 1
                state.waiting.append(
                    Waiting(worker: worker, process: process, order: state.steps, continuation: continuation)
                )
                return Self.pause(&state)
            }
            quiet?.resume()
        }
    }

    /// Runs the workers until all have ended.
    /// - Parameters:
    ///   - beforeEach: Is called before each step; returns a process that is to be killed.
    func run(
        _ workers: [@Sendable () async -> Void],
        generator: inout SeededGenerator,
        beforeEach: (inout SeededGenerator) -> Int?
    ) async {
        self.state.withLock { state in
            state.isStepping = true
            state.running = workers.count
        }
        await withTaskGroup(of: Void.self) { group in
            for (index, work) in workers.enumerated() {
                group.addTask {
                    await Self.$worker.withValue(index) { await work() }
                    self.state.withLock { Self.pause(&$0) }?.resume()
                }
            }
            while await self.isWaited() {
                if let killed = beforeEach(&generator) { self.kill(killed) } else { self.step(&generator) }
            }
        }
        self.state.withLock { $0.isStepping = false }
    }

    private static func pause(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        state.running -= 1
        guard state.running == 0 else { return nil }
        defer { state.whenQuiet = nil }
        return state.whenQuiet
    }

    /// Waits until nobody does anything. False when nobody will any more.
    private func isWaited() async -> Bool {
        await withCheckedContinuation { continuation in
            let isQuiet = self.state.withLock { state in
                guard state.running > 0 else { return true }
                state.whenQuiet = continuation
                return false
            }
            if isQuiet { continuation.resume() }
        }
        return self.state.withLock { !$0.waiting.isEmpty }
    }

    private func step(_ generator: inout SeededGenerator) {
        let next = self.state.withLock { state -> Waiting? in
            state.waiting.sort { ($0.worker, $0.order) < ($1.worker, $1.order) }
            guard let index = state.waiting.indices.randomElement(using: &generator) else { return nil }
            state.running += 1
            return state.waiting.remove(at: index)
        }
        next?.continuation.resume()
    }

    /// Ends a process: none of its steps is done any more.
    func kill(_ process: Int) {
        let ended = self.state.withLock { state in
            state.dead.insert(process)
            let ended = state.waiting.filter { $0.process == process }
            state.waiting.removeAll { $0.process == process }
            state.running += ended.count
            return ended
        }
        for one in ended { one.continuation.resume(throwing: Killed()) }
    }

    func isDead(_ process: Int) -> Bool { self.state.withLock { $0.dead.contains(process) } }
}

/// A database of which each use is a step.
struct SteppedDatabase: SQLDatabase {
    let database: any SQLDatabase
    let stepper: CollectionStepper
    let process: Int

    func read<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.stepper.pass(self.process)
        return try await self.database.read(block)
    }

    func write<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.stepper.pass(self.process)
        return try await self.database.write(block)
    }

    func write<Result: Sendable>(
        locking locks: [SQLLock],
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.stepper.pass(self.process)
        return try await self.database.write(locking: locks, block)
    }

    func migrate(_ migrations: [SQLMigration]) async throws {}
    var statistics: SQLStatistics { self.database.statistics }
    func close() async throws {}
}

/// Blobs in memory, for any number of processes.
final class MemoryBlobs: Sendable {
    struct Stored: Sendable {
        let bytes: [UInt8]
        let placedAt: Int64
    }

    let stored = Mutex<[BlobLocation: Stored]>([:])
    let identity = Mutex<String?>(nil)
    let uploads = Mutex<[UploadKey: [UInt8]]>([:])
}

/// Blobs in memory, of which each use is a step.
struct SteppedBlobStore: BlobStore {
    let blobs: MemoryBlobs
    let stepper: CollectionStepper
    let process: Int
    let clock: RegistryFixture.Clock

    struct Upload: BlobUpload {
        let key: UploadKey
        let initialSize: Int64
        let blobs: MemoryBlobs

        func write(_ buffers: [ByteBuffer], at offset: Int64, hasher: Digest.Hasher?) async throws -> Digest.Hasher? {
            var hasher = hasher
            for buffer in buffers {
                buffer.withUnsafeReadableBytes { hasher?.update(bufferPointer: $0) }
                self.blobs.uploads.withLock { $0[self.key, default: []] += buffer.readableBytesView }
            }
            return hasher
        }

        func truncate(to offset: Int64) async throws {}
        func sync() async throws {}
        func hash(size: Int64, algorithm: Digest.Algorithm) async throws -> Digest.Hasher {
            var hasher = Digest.Hasher(algorithm)
            self.blobs.uploads.withLock { $0[self.key] ?? [] }.withUnsafeBytes { hasher.update(bufferPointer: $0) }
            return hasher
        }
        func close() async {}
    }

    func createUpload(_ key: UploadKey) async throws -> any BlobUpload {
        self.blobs.uploads.withLock { $0[key] = [] }
        return Upload(key: key, initialSize: 0, blobs: self.blobs)
    }

    func openUpload(_ key: UploadKey) async throws -> (any BlobUpload)? {
        self.blobs.uploads.withLock { $0[key] }.map {
            Upload(key: key, initialSize: Int64($0.count), blobs: self.blobs)
        }
    }

    func uploadSize(_ key: UploadKey) async throws -> Int64? {
        self.blobs.uploads.withLock { $0[key] }.map { Int64($0.count) }
    }

    func removeUpload(_ key: UploadKey) async throws -> Bool {
        self.blobs.uploads.withLock { $0.removeValue(forKey: key) } != nil
    }

    func removeUploads(lastWrittenBefore time: Date) async throws -> Int { 0 }

    func place(_ upload: any BlobUpload, as digest: Digest) async throws -> BlobLocation {
        try await self.stepper.pass(self.process)
        var generator = SystemRandomNumberGenerator()
        let location = BlobLocation(of: digest, id: UploadID(using: &generator))
        let bytes = self.blobs.uploads.withLock { $0[upload.key] ?? [] }
        let now = Int64(self.clock.now.timeIntervalSince1970)
        self.blobs.stored.withLock { $0[location] = .init(bytes: bytes, placedAt: now) }
        return location
    }

    func size(at location: BlobLocation) async throws -> Int64? {
        try await self.stepper.pass(self.process)
        return self.blobs.stored.withLock { $0[location].map { Int64($0.bytes.count) } }
    }

    func body(at location: BlobLocation, size: Int64, range: Range<Int64>) async throws -> HTTPResponse.Body? {
        try await self.read(at: location, range: range).map { .bytes($0) }
    }

    func read(at location: BlobLocation, range: Range<Int64>) async throws -> ByteBuffer? {
        try await self.stepper.pass(self.process)
        return self.blobs.stored.withLock { stored in
            guard let bytes = stored[location]?.bytes, range.upperBound <= bytes.count else { return nil }
            return ByteBuffer(bytes: bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        }
    }

    func remove(at location: BlobLocation) async throws {
        try await self.stepper.pass(self.process)
        self.blobs.stored.withLock { $0[location] = nil }
    }

    func page(after location: BlobLocation?, limit: Int) async throws -> [StoredBytes] {
        try await self.stepper.pass(self.process)
        return self.blobs.stored.withLock { stored in
            stored.filter { entry in location.map { $0 < entry.key } ?? true }.sorted { $0.key < $1.key }.prefix(limit)
                .map { StoredBytes(location: $0.key, size: Int64($0.value.bytes.count), placedAt: $0.value.placedAt) }
        }
    }

    func close() async throws {}

    var place: String { "memory" }
    func identity() async throws -> String? { self.blobs.identity.withLock { $0 } }
    func setIdentity(_ identity: String) async throws { self.blobs.identity.withLock { $0 = identity } }
}
