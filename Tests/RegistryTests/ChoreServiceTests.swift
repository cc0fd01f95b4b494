// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import Logging
import NIOCore
import Testing

@testable import Registry

/// What runs in the background by itself, with a clock that the test owns.
@Suite("Background work")
struct ChoreServiceTests {
    private static let day: TimeInterval = 86_400

    private func collection(
        _ fixture: RegistryFixture,
        _ metrics: Metrics,
        interval: Int64 = 3_600
    ) -> CollectionService {
        CollectionService(
            collector: fixture.registry.collector,
            interval: interval,
            metrics: metrics,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    private func scrubbing(_ fixture: RegistryFixture, _ metrics: Metrics) -> ScrubService {
        ScrubService(
            scrubber: Scrubber(
                fixture.registry.collector.contents,
                clock: { fixture.clock.now },
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ),
            interval: Int64(Self.day),
            bytesPerSecond: 1 << 30,
            metrics: metrics,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    private func value(_ name: String, _ metrics: Metrics) -> String? {
        String(buffer: metrics.render()).split(separator: "\n").first { $0.hasPrefix(name + " ") }?
            .split(separator: " ").last.map(String.init)
    }

    @Test("collects when its time has come, not before, and says what it did")
    func collects() async throws {
        try await RegistryFixture.run { fixture in
            let metrics = Metrics()
            let service = self.collection(fixture, metrics)
            try await fixture.pushBlob([1, 2, 3], to: "a")
            #expect(try await service.collectIfDue() == 3_600)
            #expect(self.value("hallmark_registry_collected_total{kind=\"blob\"}", metrics) == "0")
            fixture.clock.advance(by: 1_000)
            #expect(try await service.collectIfDue() == 2_600)
            fixture.clock.advance(by: 2 * Self.day)
            #expect(try await service.collectIfDue() == 3_600)
            #expect(self.value("hallmark_registry_collected_total{kind=\"blob\"}", metrics) == "1")
            #expect(self.value("hallmark_registry_collected_bytes_total", metrics) == "3")
            let now = Int64(fixture.clock.now.timeIntervalSince1970)
            #expect(self.value("hallmark_registry_collection_last_seconds", metrics) == "\(now)")
            #expect(self.value("hallmark_registry_collection_failures_total", metrics) == "0")
        }
    }

    @Test("walks over the storage once a day, also when a wrong clock has noted a walk in the future")
    func walks() async throws {
        try await RegistryFixture.run { fixture in
            let service = self.collection(fixture, Metrics())
            let store = fixture.registry.collector.store
            func walked() async throws -> Int64? { try await store.state(of: .orphans).finishedAt }
            let start = Int64(fixture.clock.now.timeIntervalSince1970)
            _ = try await service.collectIfDue()
            #expect(try await walked() == start)
            fixture.clock.advance(by: 4_000)
            _ = try await service.collectIfDue()
            #expect(try await walked() == start)
            fixture.clock.advance(by: Self.day)
            _ = try await service.collectIfDue()
            #expect(try await walked() == start + 90_400)
            try await store.noteFinished(.orphans, at: start + 1_000_000)
            fixture.clock.advance(by: 4_000)
            _ = try await service.collectIfDue()
            #expect(try await walked() == start + 94_400)
        }
    }

    @Test("a collection that a wrong clock has noted in the future keeps none from running")
    func collectionFromTheFuture() async throws {
        try await RegistryFixture.run { fixture in
            let service = self.collection(fixture, Metrics())
            try await fixture.registry.collector.store.noteFinished(.collection, at: 4_000_000_000)
            _ = try await service.collectIfDue()
            let now = Int64(fixture.clock.now.timeIntervalSince1970)
            #expect(try await fixture.registry.collector.store.state(of: .collection).finishedAt == now)
        }
    }

    @Test("leaves a collection to whoever is at it")
    func leaves() async throws {
        try await RegistryFixture.run { fixture in
            let metrics = Metrics()
            let store = fixture.registry.collector.store
            let other = ChoreLease(chore: .collection, holder: "elsewhere 1 x")
            let isTaken = try await store.take(other, at: Int64(fixture.clock.now.timeIntervalSince1970))
            #expect(isTaken)
            #expect(try await self.collection(fixture, metrics).collectIfDue() == 3_600)
            #expect(self.value("hallmark_registry_collection_last_seconds", metrics) ?? "0" == "0")
        }
    }

    @Test("scrubs when its time has come, and says what is wrong")
    func scrubs() async throws {
        try await RegistryFixture.run { fixture in
            let metrics = Metrics()
            let service = self.scrubbing(fixture, metrics)
            let digest = try await fixture.pushBlob(Array("right".utf8), to: "a")
            try await service.scrubIfDue()
            #expect(self.value("hallmark_registry_scrub_problems", metrics) == "0")
            let first = self.value("hallmark_registry_scrub_last_seconds", metrics)
            try Data("wrong".utf8).write(to: URL(fileURLWithPath: await fixture.path(of: digest)))
            fixture.clock.advance(by: 1_000)
            try await service.scrubIfDue()
            #expect(self.value("hallmark_registry_scrub_last_seconds", metrics) == first)
            fixture.clock.advance(by: Self.day)
            try await service.scrubIfDue()
            #expect(self.value("hallmark_registry_scrub_problems", metrics) == "1")
            #expect(self.value("hallmark_registry_scrub_last_seconds", metrics) != first)
        }
    }

    @Test("a scrub that a wrong clock has noted in the future keeps none from running")
    func scrubFromTheFuture() async throws {
        try await RegistryFixture.run { fixture in
            let metrics = Metrics()
            try await fixture.registry.collector.store.noteFinished(.scrub, at: 4_000_000_000)
            try await self.scrubbing(fixture, metrics).scrubIfDue()
            let now = Int64(fixture.clock.now.timeIntervalSince1970)
            #expect(self.value("hallmark_registry_scrub_last_seconds", metrics) == "\(now)")
            #expect(try await fixture.registry.collector.store.state(of: .scrub).finishedAt == now)
        }
    }
}
