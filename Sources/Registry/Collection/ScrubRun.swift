// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import Logging
import NIOCore
import OCI

/// One scrub from its beginning to its end.
struct ScrubRun {
    /// How much is read at once.
    private static let readSize: Int64 = 1 << 20
    /// How many of those who suffer from one damage are named.
    private static let maximumAffected = 100
    /// After how many seconds what was verified is noted.
    private static let noteInterval: Int64 = 10

    let scrubber: Scrubber
    let lease: ChoreLease
    let options: Scrubber.Options
    let observer: ScrubObserver
    /// When this scrub began: what was verified since then is done.
    let startedAt: Int64
    var summary = ScrubSummary()

    private var total: (blobs: Int64, bytes: Int64) = (0, 0)
    private var verified: [ScrubbedBlob] = []
    private var notedAt: Int64 = 0
    private var reading: ContinuousClock.Instant = .now
    private var readBytes: Int64 = 0

    init(
        scrubber: Scrubber,
        lease: ChoreLease,
        options: Scrubber.Options,
        observer: ScrubObserver,
        startedAt: Int64
    ) {
        self.scrubber = scrubber
        self.lease = lease
        self.options = options
        self.observer = observer
        self.startedAt = startedAt
        self.notedAt = scrubber.now
    }

    private var store: RegistryStore { self.scrubber.store }

    mutating func all() async throws {
        try await self.scrubBlobs()
        try await self.scrubManifests()
        try await self.scrubTags()
        try await self.findOrphans()
    }

    private mutating func report(_ problem: ScrubProblem) {
        self.summary.problems += 1
        self.observer.problem(problem)
    }

    // MARK: - Blobs

    private mutating func scrubBlobs() async throws {
        let before = self.startedAt - self.options.verifiedWithin
        let horizon = self.scrubber.horizon
        self.total = try await self.store.unverified(before: before, orAfter: horizon)
        var last = ""
        while true {
            let page = try await self.store.scrubbedBlobs(
                after: last,
                verifiedBefore: before,
                orAfter: horizon,
                limit: self.scrubber.pageSize
            )
            guard let end = page.last else { break }
            for blob in page { try await self.scrub(blob) }
            last = end.digest
        }
        try await self.noteVerified()
    }

    private mutating func scrub(_ blob: ScrubbedBlob) async throws {
        try Task.checkCancellation()
        if let problem = try await self.examine(blob) {
            // It may have been collected, or repaired, while it was read.
            guard try await self.store.isUnchanged(blob) else { return }
            if !self.options.isDry, problem.kind != .unreadable, problem.kind != .invalidRow {
                let store = self.store
                let now = self.scrubber.now
                guard try await self.scrubber.announcement.change({ try await store.noteDamaged(blob, at: now) }) else {
                    return
                }
            }
            var told = problem
            told.affected = try await self.places(ofBlob: blob.digest)
            self.report(told)
        } else if !self.options.isDry {
            self.verified.append(blob)
        }
        self.summary.blobs += 1
        self.observer.progress((self.summary.blobs, of: self.total.blobs), (self.summary.bytes, of: self.total.bytes))
        if self.scrubber.now - self.notedAt >= Self.noteInterval || self.verified.count >= self.scrubber.pageSize {
            try await self.noteVerified()
        }
    }

    private mutating func noteVerified() async throws {
        self.notedAt = self.scrubber.now
        let blobs = self.verified
        self.verified = []
        try await self.store.noteVerified(blobs, at: max(self.notedAt, self.startedAt))
        try await self.store.note(position: blobs.last?.digest ?? "", of: self.lease, at: self.notedAt)
    }

    /// Reads a blob; nil when it is right.
    private mutating func examine(_ blob: ScrubbedBlob) async throws -> ScrubProblem? {
        func problem(_ kind: ScrubProblem.Kind, _ message: String) -> ScrubProblem {
            ScrubProblem(kind: kind, digest: blob.digest, location: blob.location, message: message)
        }
        guard let digest = try? Digest(blob.digest), let location = try? BlobLocation(blob.location), blob.size >= 0
        else {
            return problem(.invalidRow, "the database's row of a blob has no digest, no location or no size")
        }
        var hasher = Digest.Hasher(digest.algorithm)
        do {
            guard let size = try await self.scrubber.blobs.size(at: location) else {
                return problem(.missingBytes, "its bytes are not there")
            }
            guard size == blob.size else { return problem(.damagedBlob, "it has \(size) bytes, not \(blob.size)") }
            var offset: Int64 = 0
            while offset < size {
                try Task.checkCancellation()
                let end = min(size, offset + Self.readSize)
                guard let buffer = try await self.scrubber.blobs.read(at: location, range: offset..<end) else {
                    return problem(.missingBytes, "its bytes are not there from \(offset) on")
                }
                buffer.withUnsafeReadableBytes { hasher.update(bufferPointer: $0) }
                self.summary.bytes += end - offset
                try await self.slowDown(end - offset)
                offset = end
            }
        } catch let error as CancellationError {
            throw error
        } catch let error as ChoreLeaseLost {
            throw error
        } catch {
            return problem(.unreadable, "its bytes cannot be read: \(error)")
        }
        let found = hasher.finalize()
        return found == digest ? nil : problem(.damagedBlob, "its bytes hash to \(found)")
    }

    /// Keeps to the rate, and to the lease while a large blob is read.
    private mutating func slowDown(_ bytes: Int64) async throws {
        if self.scrubber.now - self.notedAt >= Self.noteInterval { try await self.noteVerified() }
        guard let rate = self.options.bytesPerSecond, rate > 0 else { return }
        self.readBytes += bytes
        let due = Duration.seconds(Double(self.readBytes) / Double(rate))
        let passed = .now - self.reading
        if passed < due { try await Task.sleep(for: due - passed) }
        // What was slow for other reasons is not made up for.
        if passed > due + .seconds(1) || self.readBytes > rate * 60 {
            self.reading = .now
            self.readBytes = 0
        }
    }

    // MARK: - Manifests and tags

    private mutating func forEachPage(
        of table: RegistryStore.PagedTable,
        _ body: (inout ScrubRun, _ after: PairKey, _ through: PairKey) async throws -> Void
    ) async throws {
        var position = PairKey.first
        while let end = try await self.store.pageEnd(of: table, after: position, limit: self.scrubber.pageSize) {
            try Task.checkCancellation()
            if self.scrubber.now - self.notedAt >= Self.noteInterval { try await self.noteVerified() }
            try await body(&self, position, end)
            guard end != .last else { return }
            position = end
        }
    }

    private mutating func scrubManifests() async throws {
        try await self.forEachPage(of: .manifests) { run, after, through in
            for manifest in try await run.store.scrubbedManifests(after: after, through: through) {
                try await run.scrub(manifest)
            }
            for target in try await run.store.missingTargets(after: after, through: through) {
                if target.kind == "manifest", run.scrubber.allowsSparseIndexes { continue }
                let tags = try await run.store.tags(
                    reaching: target.manifest,
                    in: target.repository,
                    limit: Self.maximumAffected
                )
                run.report(
                    ScrubProblem(
                        kind: .missingTarget,
                        digest: target.digest,
                        message:
                            "\(target.repository) does not have the \(target.kind), which \(target.manifest) needs",
                        affected: [.init(repository: target.repository, manifest: target.manifest, tags: tags)]
                    )
                )
            }
        }
    }

    private mutating func scrub(_ manifest: ScrubbedManifest) async throws {
        guard let digest = try? Digest(manifest.digest), let repository = try? RepositoryName(manifest.repository)
        else {
            return self.report(
                ScrubProblem(
                    kind: .invalidRow,
                    digest: manifest.digest,
                    message:
                        "the database's row of a manifest of \(manifest.repository) has no digest, or no repository's name"
                )
            )
        }
        let reference = Reference.digest(digest)
        guard let stored = try await self.store.manifest(reference, in: repository) else { return }
        self.summary.manifests += 1
        let found = Digest(hashing: stored.content, algorithm: stored.digest.algorithm)
        guard found != stored.digest || Int64(stored.content.count) != manifest.size else { return }
        let tags = try await self.store.tags(
            reaching: manifest.digest,
            in: manifest.repository,
            limit: Self.maximumAffected
        )
        if !self.options.isDry, found != stored.digest {
            let store = self.store
            let isRemoved = try await self.scrubber.announcement.change {
                try await store.removeDamagedManifest(stored, from: manifest.repository)
            }
            // Pushed again meanwhile, or read wrongly.
            guard isRemoved else { return }
        }
        self.report(
            ScrubProblem(
                kind: .damagedManifest,
                digest: manifest.digest,
                message: "its \(stored.content.count) bytes hash to \(found)",
                affected: [.init(repository: manifest.repository, manifest: manifest.digest, tags: tags)]
            )
        )
    }

    private mutating func scrubTags() async throws {
        try await self.forEachPage(of: .tags) { run, after, through in
            for tag in try await run.store.danglingTags(after: after, through: through) {
                run.report(
                    ScrubProblem(
                        kind: .missingManifest,
                        digest: tag.digest,
                        message: "the tag \(tag.tag) of \(tag.repository) stands for it, and it is not there",
                        affected: [.init(repository: tag.repository, manifest: tag.digest, tags: [tag.tag])]
                    )
                )
            }
        }
    }

    private func places(ofBlob digest: String) async throws -> [ScrubProblem.Place] {
        var places: [ScrubProblem.Place] = []
        for user in try await self.store.users(ofBlob: digest, limit: Self.maximumAffected) {
            let tags = try await self.store.tags(
                reaching: user.manifest,
                in: user.repository,
                limit: Self.maximumAffected
            )
            places.append(.init(repository: user.repository, manifest: user.manifest, tags: tags))
        }
        return places
    }

    // MARK: - Storage

    /// Counts bytes that nothing names; younger ones may be those of a push.
    private mutating func findOrphans() async throws {
        var last: BlobLocation?
        while true {
            try Task.checkCancellation()
            if self.scrubber.now - self.notedAt >= Self.noteInterval { try await self.noteVerified() }
            let page = try await self.scrubber.blobs.page(after: last, limit: self.scrubber.pageSize)
            guard let end = page.last else { return }
            last = end.location
            let old = page.filter { $0.placedAt < self.startedAt - 60 * 60 }
            let unnamed = try await self.store.database.read { [locations = old.map(\.location.description)] in
                Set(try RegistryStore.unnamed(locations, on: $0))
            }
            for stored in old where unnamed.contains(stored.location.description) {
                self.summary.orphans += 1
                self.summary.orphanBytes &+= stored.size
            }
        }
    }
}
