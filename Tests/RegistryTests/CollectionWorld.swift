// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import Registry

/// Several processes with one database and one storage, clients that push to them, move tags and delete, and collections; with a
/// memory of what clients were told.
final class CollectionWorld: Sendable {
    static let grace: Int64 = 4_000
    private static let repositories = ["a", "b/c"]

    let clock = RegistryFixture.Clock()
    let blobs = MemoryBlobs()
    let stepper = CollectionStepper()
    let database: any SQLDatabase
    private let processes = Mutex<[Int: Registry]>([:])
    private let memory = Mutex(Memory())

    private struct Memory {
        var problems: [String] = []
        /// What each tag must be: one of these; nil is no tag.
        var tags: [String: Set<String?>] = [:]
        /// Manifests that a client has deleted or is about to, with their repository.
        var deleted: Set<String> = []
        /// What the indexes that were pushed list.
        var children: [String: [String]] = [:]
        /// Manifests that were pushed, by repository.
        var pushed: [String: [String]] = [:]
        var counts: [String: Int] = [:]
        var nextProcess = 0
    }

    init(database: any SQLDatabase) {
        self.database = database
    }

    var problems: [String] { self.memory.withLock { $0.problems } }
    var counts: [String: Int] { self.memory.withLock { $0.counts } }
    private var now: Int64 { Int64(self.clock.now.timeIntervalSince1970) }

    private func note(_ problem: String) { self.memory.withLock { $0.problems.append(problem) } }
    private func count(_ what: String, _ number: Int = 1) {
        self.memory.withLock { $0.counts[what, default: 0] += number }
    }

    func noteKilled() { self.count("was killed") }

    /// Starts a process, and returns its number.
    func start() async throws -> Int {
        let process = self.memory.withLock { memory in
            memory.nextProcess += 1
            return memory.nextProcess
        }
        var configuration = Registry.Configuration(directory: "/nonexistent")
        configuration.graceTime = TimeInterval(Self.grace)
        configuration.collection.untagged = .remove(after: 0)
        configuration.collection.orphanAge = Self.grace
        // As with several instances.
        configuration.cacheSize = 0
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let clock = self.clock
        let registry = try await Registry(
            configuration: configuration,
            blobs: SteppedBlobStore(blobs: self.blobs, stepper: self.stepper, process: process, clock: clock),
            foreign: nil,
            database: SteppedDatabase(database: self.database, stepper: self.stepper, process: process),
            logger: logger,
            clock: { clock.now }
        )
        self.processes.withLock { $0[process] = registry }
        return process
    }

    // MARK: - Clients

    private func send(
        _ process: Int,
        _ method: HTTPMethod,
        _ target: String,
        _ body: [UInt8] = [],
        type: String? = nil
    ) async -> Int {
        guard let registry = self.processes.withLock({ $0[process] }) else { return 0 }
        // A client takes its time, too.
        try? await self.stepper.pass(process)
        let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
        var headers: HTTPHeaders = ["content-length": "\(body.count)"]
        if let type { headers.add(name: "content-type", value: type) }
        let request = HTTPRequest(
            method: method,
            path: parts[0],
            query: parts.count > 1 ? parts[1] : nil,
            headers: headers,
            body: HTTPRequestBody(ByteBuffer(bytes: body))
        )
        guard let response = try? await Self.respond(registry, request) else { return 0 }
        // What a killed process says nobody hears.
        return self.stepper.isDead(process) ? 0 : Int(response.status.code)
    }

    private static func respond(_ registry: Registry, _ request: HTTPRequest) async throws -> HTTPResponse {
        if let ready = registry.responder.immediateResponse(to: request) { return ready }
        return try await registry.responder.respond(to: request)
    }

    /// One client: does so many things to one process, each with tags of its own.
    func client(_ number: Int, at process: Int, seed: UInt64, actions: Int) async {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<actions where !self.stepper.isDead(process) {
            let repository = Self.repositories.randomElement(using: &generator) ?? "a"
            let tag = "t\(number)-\(Int.random(in: 0..<2, using: &generator))"
            switch Int.random(in: 0..<12, using: &generator) {
            case 0..<5:
                _ = await self.pushImage(process, repository, Bool.random(using: &generator) ? tag : nil, &generator)
            case 5..<8:
                await self.pushIndex(process, repository, Bool.random(using: &generator) ? tag : nil, &generator)
            case 8..<9: await self.pushReferrer(process, repository, &generator)
            case 9: await self.deleteTag(process, repository, tag)
            case 10: await self.pull(process, repository, &generator)
            default: await self.deleteManifest(process, repository, &generator)
            }
        }
    }

    /// Something that a client was told exists, and when.
    private struct Told {
        var since: Int64
    }

    /// Makes sure that a repository has a blob, as clients do.
    private func provide(
        _ content: [UInt8],
        _ process: Int,
        _ repository: String,
        _ told: inout Told,
        _ generator: inout SeededGenerator
    ) async -> Bool {
        let digest = Digest(hashing: content)
        let now = self.now
        let path = "/v2/\(repository)/blobs"
        if await self.send(process, .HEAD, "\(path)/\(digest)") == 200 {
            told.since = min(told.since, now)
            self.count("relied on a blob")
            return true
        }
        if Bool.random(using: &generator), let source = Self.repositories.first(where: { $0 != repository }) {
            let later = self.now
            let query = Bool.random(using: &generator) ? "?mount=\(digest)&from=\(source)" : "?mount=\(digest)"
            if await self.send(process, .POST, "\(path)/uploads/\(query)") == 201 {
                told.since = min(told.since, later)
                self.count("mounted")
                return true
            }
        }
        let later = self.now
        guard await self.send(process, .POST, "\(path)/uploads/?digest=\(digest)", content) == 201 else { return false }
        told.since = min(told.since, later)
        self.count("uploaded")
        return true
    }

    private func put(
        _ content: [UInt8],
        type: String,
        _ process: Int,
        _ repository: String,
        _ tag: String?,
        _ told: Told,
        children: [String] = []
    ) async -> Bool {
        let digest = Digest(hashing: content).description
        let key = "\(repository) \(tag ?? "")"
        let before = tag.map { _ in self.memory.withLock { $0.tags[key] ?? [nil] } }
        if tag != nil { self.memory.withLock { $0.tags[key] = (before ?? []).union([digest]) } }
        let path = "/v2/\(repository)/manifests/\(tag ?? digest)"
        let status = await self.send(process, .PUT, path, content, type: type)
        let isDead = self.stepper.isDead(process)
        self.memory.withLock { memory in
            if status == 201 {
                memory.pushed[repository, default: []].append(digest)
                memory.counts["pushed a manifest", default: 0] += 1
                if tag != nil { memory.tags[key] = [digest] }
                return
            }
            guard !isDead else { return }
            if tag != nil { memory.tags[key] = before }
            let wasDeleted = children.contains { memory.deleted.contains("\(repository) \($0)") }
            if status == 404 || status == 400, self.now - told.since <= Self.grace * 3 / 4, !wasDeleted {
                memory.problems.append(
                    "\(repository): \(status) for \(digest), \(self.now - told.since) s after what it needs was there"
                )
            } else {
                memory.counts["was too late", default: 0] += 1
            }
        }
        return status == 201
    }

    private func image(_ variant: Int) -> (content: [UInt8], blobs: [[UInt8]]) {
        let config = Array("config \(variant % 3)".utf8)
        let layers = [variant, variant + 1].map { Array("layer \($0 % 4)".utf8) }
        return (Samples.image(config: config, layers: layers), [config] + layers)
    }

    /// - Returns: The manifest's content; nil when it was not taken.
    private func pushImage(
        _ process: Int,
        _ repository: String,
        _ tag: String?,
        _ generator: inout SeededGenerator
    ) async -> [UInt8]? {
        let (content, blobs) = self.image(Int.random(in: 0..<5, using: &generator))
        var told = Told(since: .max)
        for blob in blobs {
            guard await self.provide(blob, process, repository, &told, &generator) else { return nil }
        }
        let isDone = await self.put(content, type: Samples.imageType, process, repository, tag, told)
        return isDone ? content : nil
    }

    /// Children first, by digest, some of which the registry is asked for; then the index.
    private func pushIndex(
        _ process: Int,
        _ repository: String,
        _ tag: String?,
        _ generator: inout SeededGenerator
    ) async {
        var children: [[UInt8]] = []
        var told = Told(since: .max)
        for _ in 0..<2 {
            let (content, _) = self.image(Int.random(in: 0..<5, using: &generator))
            let now = self.now
            if await self.send(process, .HEAD, "/v2/\(repository)/manifests/\(Digest(hashing: content))") == 200 {
                self.count("relied on a manifest")
                told.since = min(told.since, now)
                children.append(content)
            } else {
                let later = self.now
                guard let pushed = await self.pushImage(process, repository, nil, &generator) else { return }
                told.since = min(told.since, later)
                children.append(pushed)
            }
        }
        let digests = children.map { Digest(hashing: $0).description }
        let index = Samples.index(children)
        self.memory.withLock { $0.children[Digest(hashing: index).description] = digests }
        guard await self.put(index, type: Samples.indexType, process, repository, tag, told, children: digests) else {
            return
        }
        // The tag of a child comes after the index.
        guard Bool.random(using: &generator), let child = children.first, let tag else { return }
        _ = await self.put(child, type: Samples.imageType, process, repository, tag + "-child", told, children: digests)
    }

    private func pushReferrer(_ process: Int, _ repository: String, _ generator: inout SeededGenerator) async {
        let known = self.memory.withLock { $0.pushed[repository] ?? [] }
        guard let subject = known.randomElement(using: &generator) else { return }
        let config = Array("config 0".utf8)
        let layer = Array("signature \(subject.suffix(6))".utf8)
        var told = Told(since: .max)
        for blob in [config, layer] {
            guard await self.provide(blob, process, repository, &told, &generator) else { return }
        }
        let descriptor = #"{"mediaType":"\#(Samples.imageType)","digest":"\#(subject)","size":1}"#
        let content = Samples.image(config: config, layers: [layer], more: ",\"subject\":\(descriptor)")
        _ = await self.put(content, type: Samples.imageType, process, repository, nil, told)
    }

    /// Asks for an index by its digest, and a while later for what it lists.
    private func pull(_ process: Int, _ repository: String, _ generator: inout SeededGenerator) async {
        let (known, lists, deleted) = self.memory.withLock { ($0.pushed[repository] ?? [], $0.children, $0.deleted) }
        let path = "/v2/\(repository)/manifests"
        guard let index = known.filter({ lists[$0] != nil }).randomElement(using: &generator),
            // Whoever deletes what an index lists breaks it.
            let children = lists[index], !children.contains(where: { deleted.contains("\(repository) \($0)") })
        else { return }
        let since = self.now
        guard await self.send(process, .HEAD, "\(path)/\(index)") == 200 else { return }
        for _ in 0..<Int.random(in: 0..<60, using: &generator) { try? await self.stepper.pass(process) }
        for child in children {
            let status = await self.send(process, .HEAD, "\(path)/\(child)")
            let wasDeleted = self.memory.withLock { memory in
                (children + [index]).contains { memory.deleted.contains("\(repository) \($0)") }
            }
            guard status == 404, !wasDeleted, self.now - since <= Self.grace * 3 / 4 else { continue }
            self.note("\(repository): \(index) was there \(self.now - since) s ago, \(child) of it is not")
        }
        self.count("pulled an index")
    }

    private func deleteTag(_ process: Int, _ repository: String, _ tag: String) async {
        let key = "\(repository) \(tag)"
        let before = self.memory.withLock { memory in
            defer { memory.tags[key] = (memory.tags[key] ?? [nil]).union([nil]) }
            return memory.tags[key] ?? [nil]
        }
        let status = await self.send(process, .DELETE, "/v2/\(repository)/manifests/\(tag)")
        guard status == 202 || status == 404, !self.stepper.isDead(process) else { return }
        self.memory.withLock { $0.tags[key] = status == 202 ? [nil] : before.union([nil]) }
        if status == 202 { self.count("deleted a tag") }
    }

    private func deleteManifest(_ process: Int, _ repository: String, _ generator: inout SeededGenerator) async {
        let known = self.memory.withLock { $0.pushed[repository] ?? [] }
        guard let digest = known.randomElement(using: &generator) else { return }
        _ = self.memory.withLock { $0.deleted.insert("\(repository) \(digest)") }
        if await self.send(process, .DELETE, "/v2/\(repository)/manifests/\(digest)") == 202 {
            self.count("deleted a manifest")
        }
    }

    // MARK: - Collections

    func collect(at process: Int, times: Int) async {
        guard let registry = self.processes.withLock({ $0[process] }) else { return }
        for _ in 0..<times where !self.stepper.isDead(process) {
            do {
                var collector = registry.collector
                collector.batchSize = 2
                collector.pageSize = 5
                collector.concurrency = 1
                let summary = try await collector.run(.collect, walksStorage: true)
                guard let summary else {
                    // Another one has it: some other time.
                    try await self.stepper.pass(process)
                    continue
                }
                self.count("collected blobs", Int(summary.blobs))
                self.count("collected manifests", Int(summary.manifests))
                self.count("collected links", Int(summary.links))
                self.count("collected orphans", Int(summary.orphans))
            } catch is CollectionStepper.Killed {
                return
            } catch is ChoreLeaseLost {
                self.count("lost the lease")
            } catch {
                if !self.stepper.isDead(process) { self.note("collecting: \(error)") }
            }
        }
    }

    // MARK: - The end

    /// Everything that can be reached from a tag is there, and after a last collection nothing else is.
    func settle() async throws {
        try await self.checkReachable("at the end")
        try await self.checkTags()
        self.clock.advance(by: TimeInterval(Self.grace * 2))
        let process = try await self.start()
        // A second one finds what the first has set free.
        for _ in 0..<2 { await self.collect(at: process, times: 1) }
        try await self.checkReachable("after the last collection")
        try await self.checkNothingElse()
    }

    private func rows(_ sql: String) async throws -> [[String]] {
        try await self.database.query(sql).map { row in
            row.values.map { if case .text(let text) = $0 { text } else { "" } }
        }
    }

    private struct Graph {
        var manifests: Set<String> = []
        var blobs: Set<String> = []
        var links: Set<String> = []
    }

    /// What the database says, walked from the tags by other means than the collector's.
    private func reachable() async throws -> Graph {
        let tags = try await self.rows("SELECT repository, digest FROM tags").map { "\($0[0]) \($0[1])" }
        let manifests = try await self.rows("SELECT repository, digest, subject FROM manifests")
        let references = try await self.rows("SELECT repository, manifest, kind, digest FROM manifest_references")
        let there = Set(manifests.map { "\($0[0]) \($0[1])" })
        var graph = Graph()
        var waiting = tags.filter(there.contains)
        while let next = waiting.popLast() {
            guard graph.manifests.insert(next).inserted else { continue }
            for reference in references where "\(reference[0]) \(reference[1])" == next {
                switch reference[2] {
                case "blob":
                    graph.blobs.insert(reference[3])
                    graph.links.insert("\(reference[0]) \(reference[3])")
                case "manifest": waiting.append("\(reference[0]) \(reference[3])")
                default: break
                }
            }
            waiting += manifests.filter { "\($0[0]) \($0[2])" == next }.map { "\($0[0]) \($0[1])" }
        }
        // What is listed but was deleted by a client is not there to be reached.
        graph.manifests.formIntersection(there)
        return graph
    }

    func checkReachable(_ moment: String) async throws {
        let graph = try await self.reachable()
        let blobs = Dictionary(
            try await self.rows("SELECT digest, location FROM blobs").map { ($0[0], $0[1]) }
        ) { first, _ in first }
        let links = Set(
            try await self.rows("SELECT repository, digest FROM repository_blobs").map { "\($0[0]) \($0[1])" }
        )
        for link in graph.links where !links.contains(link) { self.note("\(moment): the link \(link) is lost") }
        for blob in graph.blobs {
            guard let location = blobs[blob] else {
                self.note("\(moment): the row of \(blob) is lost")
                continue
            }
            let bytes = try self.blobs.stored.withLock { try $0[BlobLocation(location)]?.bytes }
            if bytes.map({ Digest(hashing: $0).description }) != blob {
                self.note("\(moment): the bytes of \(blob) are lost")
            }
        }
        for digests in Dictionary(grouping: try await self.rows("SELECT repository, digest FROM tags"), by: { $0[0] })
            .values
        {
            for tag in digests where !graph.manifests.contains("\(tag[0]) \(tag[1])") {
                self.note("\(moment): a tag of \(tag[0]) has lost its manifest \(tag[1])")
            }
        }
    }

    private func checkTags() async throws {
        let present = Dictionary(
            try await self.rows("SELECT repository, name, digest FROM tags").map { ("\($0[0]) \($0[1])", $0[2]) }
        ) { first, _ in first }
        let (expected, deleted) = self.memory.withLock { ($0.tags, $0.deleted) }
        for (key, allowed) in expected where !allowed.contains(present[key]) {
            let repository = key.prefix { $0 != " " }
            // Whoever deletes a manifest deletes its tags.
            let wasDeleted = allowed.contains { $0.map { deleted.contains("\(repository) \($0)") } ?? false }
            if present[key] == nil, wasDeleted { continue }
            self.note("the tag \(key) is \(present[key] ?? "nothing"), not \(allowed)")
        }
    }

    private func checkNothingElse() async throws {
        let graph = try await self.reachable()
        for row in try await self.rows("SELECT repository, digest FROM manifests")
        where !graph.manifests.contains("\(row[0]) \(row[1])") { self.note("the manifest \(row) stays") }
        var locations: Set<String> = []
        for row in try await self.rows("SELECT digest, location FROM blobs") {
            locations.insert(row[1])
            if !graph.blobs.contains(row[0]) { self.note("the blob \(row[0]) stays") }
        }
        for row in try await self.rows("SELECT repository, digest FROM repository_blobs")
        where !graph.links.contains("\(row[0]) \(row[1])") { self.note("the link \(row) stays") }
        for location in self.blobs.stored.withLock({ Array($0.keys) }) where !locations.contains(location.description) {
            self.note("the bytes at \(location) stay")
        }
        if try await !self.rows("SELECT location FROM trash").isEmpty { self.note("the trash is not empty") }
    }
}
