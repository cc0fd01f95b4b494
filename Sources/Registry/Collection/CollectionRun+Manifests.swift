// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

extension CollectionRun {
    // MARK: - Tags

    /// Removes the tags that no rule keeps, and attached tags without their subject where that is wanted.
    mutating func collectTags() async throws {
        guard self.policy.retention?.concernsTags == true || self.policy.removesOrphanedReferrers else { return }
        try await self.forEachPage(of: .repositories, "tags") { run, after, through in
            for name in try await run.repositories(after: after.name, through: through.name) {
                try await run.pause()
                try await run.collectTags(of: name)
            }
        }
    }

    private func repositories(after: String, through: String) async throws -> [String] {
        try await self.store.database.query(
            "SELECT name FROM repositories WHERE name > ? AND name <= ? ORDER BY name",
            .text(after),
            .text(through)
        ).map { try $0.text(0) }
    }

    private mutating func collectTags(of repository: String) async throws {
        var evaluation = self.policy.retention?.evaluation(of: repository, at: self.collector.now)
        guard evaluation != nil || self.policy.removesOrphanedReferrers else { return }
        if evaluation?.counts == true {
            try await self.forEachTag(of: repository) { _, tags in for tag in tags { evaluation?.note(tag) } }
        }
        let rules = evaluation
        try await self.forEachTag(of: repository) { run, tags in
            var going: [(tag: RetainedTag, reason: String)] = []
            for tag in tags {
                if case .goes(let reason) = rules?.verdict(on: tag) ?? .stays { going.append((tag, reason)) }
                if let subject = AttachedTag.subject(of: tag.name) {
                    try await run.collectAttached(tag, of: subject, in: repository)
                }
            }
            for batch in Self.batches(going, of: run.collector.batchSize) {
                try await run.collect(batch, of: repository)
            }
        }
    }

    private mutating func forEachTag(
        of repository: String,
        _ body: (inout CollectionRun, [RetainedTag]) async throws -> Void
    ) async throws {
        var last = ""
        while true {
            let tags = try await self.store.retainedTags(of: repository, after: last, limit: self.collector.pageSize)
            guard let end = tags.last else { return }
            try await body(&self, tags)
            last = end.name
        }
    }

    private mutating func collect(_ going: [(tag: RetainedTag, reason: String)], of repository: String) async throws {
        let tags = going.map(\.tag)
        let reasons = Dictionary(going.map { ($0.tag.name, $0.reason) }) { first, _ in first }
        var removed = tags
        if self.lease == nil {
            self.imagined.remove(tags: tags, from: repository)
        } else {
            let lock = try RegistryStore.lock(RepositoryName(repository))
            let (store, name) = (self.store, try RepositoryName(repository))
            removed = try await self.collector.announcement.change { [self] in
                try await self.transaction([lock]) { connection in
                    let removed = try RegistryStore.removeTags(tags, from: repository, on: connection)
                    try store.tellDeletion(ofTags: removed.map(\.name), from: name, on: connection)
                    return removed
                }
            }
        }
        for tag in removed {
            self.note(
                CollectedItem(
                    kind: .tag,
                    repository: repository,
                    tag: tag.name,
                    digest: tag.digest,
                    reason: reasons[tag.name] ?? ""
                )
            )
        }
    }

    /// An attached tag whose subject somebody else has deleted.
    private mutating func collectAttached(_ tag: RetainedTag, of subject: String, in repository: String) async throws {
        guard self.policy.removesOrphanedReferrers, max(tag.updatedAt, tag.seenAt) < self.cutoff,
            try await !self.store.hasManifest(subject, in: repository)
        else { return }
        if self.lease == nil {
            self.imagined.remove(tags: [tag], from: repository)
        } else {
            let lock = try RegistryStore.lock(RepositoryName(repository))
            let store = self.store
            let removed = try await self.collector.announcement.change { [self] in
                try await self.transaction([lock]) { [store] connection in
                    guard try RegistryStore.removeOrphanedTag(tag, of: subject, from: repository, on: connection) else {
                        return false
                    }
                    try store.tellDeletion(ofTags: [tag.name], from: RepositoryName(repository), on: connection)
                    return true
                }
            }
            guard removed else { return }
        }
        self.note(
            CollectedItem(
                kind: .tag,
                repository: repository,
                tag: tag.name,
                digest: tag.digest,
                reason: "its subject \(subject) is not there"
            )
        )
    }

    // MARK: - Manifests

    mutating func collectManifests() async throws {
        guard self.policy.removesManifests else { return }
        try await self.forEachPage(of: .manifests, "manifests") { run, after, through in
            let found = try await run.store.untaggedManifests(after: after, through: through, seenBefore: run.cutoff)
            for (repository, keys) in Dictionary(grouping: found, by: \.repository).sorted(by: { $0.key < $1.key }) {
                try await run.collect(manifests: Set(keys.map(\.name)), in: repository)
            }
        }
        for (repository, digests) in self.imagined.untagged.sorted(by: { $0.key < $1.key }) {
            try await self.collect(manifests: digests, in: repository)
        }
    }

    /// Removes those that nothing holds, and what they alone have held.
    private mutating func collect(manifests: Set<String>, in repository: String) async throws {
        var waiting = manifests
        while !waiting.isEmpty {
            try await self.pause()
            let batch = Array(waiting.sorted().prefix(self.collector.batchSize))
            waiting.subtract(batch)
            let removal = try await self.remove(manifests: batch, in: repository)
            waiting.formUnion(removal.unsettled)
            for tag in removal.tags {
                self.note(
                    CollectedItem(
                        kind: .tag,
                        repository: repository,
                        tag: tag.name,
                        digest: tag.digest,
                        reason: "it goes with its subject \(tag.subject)"
                    )
                )
            }
            for manifest in removal.manifests {
                self.note(
                    CollectedItem(
                        kind: .manifest,
                        repository: repository,
                        digest: manifest.digest,
                        size: manifest.size,
                        reason: manifest.isOrphaned
                            ? "no tag, no index, and its subject is not there" : "no tag and no index stands for it"
                    )
                )
            }
        }
    }

    private mutating func remove(manifests: [String], in repository: String) async throws -> ManifestRemoval {
        let closure = UntaggedManifests(
            repository: repository,
            untaggedBefore: self.policy.untaggedAge(in: repository).map { self.collector.now - $0 },
            orphanedBefore: self.policy.removesOrphanedReferrers ? self.cutoff : nil
        )
        guard closure.untaggedBefore != nil || closure.orphanedBefore != nil else { return ManifestRemoval() }
        guard self.lease != nil else {
            return try await self.imagined.remove(manifests, in: repository, closure, self.store)
        }
        let (store, name) = (self.store, try RepositoryName(repository))
        let lock = RegistryStore.lock(name)
        do {
            let removal = try await self.transaction([lock]) { connection in
                var closure = closure
                for digest in manifests { try closure.examine(digest, on: connection) }
                let removal = try RegistryStore.removeManifests(closure, on: connection)
                try store.tellDeletion(ofTags: removal.tags.map(\.name), from: name, on: connection)
                try store.tellDeletion(ofManifests: removal.manifests.map(\.digest), from: name, on: connection)
                return removal
            }
            // A tag that stood for one of these was a ready reply.
            if !removal.tags.isEmpty { try await self.collector.announcement.change {} }
            return removal
        } catch is ManifestsChanged {
            // The next collection looks again.
            return ManifestRemoval()
        }
    }
}

/// What would be gone if a collection did what it says. Grows with what goes.
struct ImaginedRemoval: Sendable {
    private var tags: [String: Set<String>] = [:]
    private var manifests: [String: Set<String>] = [:]
    /// The manifests that lose a tag.
    private(set) var untagged: [String: Set<String>] = [:]
    /// The blobs that go.
    var blobs: Set<String> = []
    /// How many of the manifests that go use a blob.
    private var users: [String: Int64] = [:]

    mutating func remove(tags: [RetainedTag], from repository: String) {
        self.tags[repository, default: []].formUnion(tags.map(\.name))
        self.untagged[repository, default: []].formUnion(tags.map(\.digest))
    }

    mutating func remove(
        _ digests: [String],
        in repository: String,
        _ closure: UntaggedManifests,
        _ store: RegistryStore
    ) async throws -> ManifestRemoval {
        var start = closure
        start.withoutTags = self.tags[repository] ?? []
        start.withoutManifests = self.manifests[repository] ?? []
        let settled = start
        let waiting = digests.filter { !settled.withoutManifests.contains($0) }
        let (removal, blobs) = try await store.database.read { connection in
            var closure = settled
            for digest in waiting { try closure.examine(digest, on: connection) }
            var removal = ManifestRemoval()
            var blobs: [String] = []
            for (digest, doomed) in closure.doomed.sorted(by: { $0.key < $1.key }) {
                removal.manifests.append(.init(digest: digest, size: doomed.size, isOrphaned: doomed.isOrphaned))
                removal.unsettled.formUnion(try RegistryStore.holdings(of: digest, in: repository, on: connection))
                removal.tags += try RegistryStore.attachedTags(of: digest, in: repository, on: connection)
                    .filter { !settled.withoutTags.contains($0.name) }
                blobs += try connection.query(
                    "SELECT digest FROM manifest_references WHERE repository = ? AND manifest = ? AND kind = 'blob'",
                    .text(repository),
                    .text(digest)
                ).map { try $0.text(0) }
            }
            removal.unsettled.formUnion(removal.tags.map(\.digest))
            removal.unsettled.subtract(closure.doomed.keys)
            return (removal, blobs)
        }
        self.manifests[repository, default: []].formUnion(removal.manifests.map(\.digest))
        self.tags[repository, default: []].formUnion(removal.tags.map(\.name))
        for blob in blobs { self.users[blob, default: 0] += 1 }
        return removal
    }

    /// The blobs that nothing but the manifests that go uses.
    func freedBlobs(_ store: RegistryStore, seenBefore time: Int64) async throws -> [RemovedBlob] {
        var freed: [RemovedBlob] = []
        for batch in CollectionRun.batches(self.users.sorted { $0.key < $1.key }, of: 100) {
            freed += try await store.database.read { connection in
                try batch.compactMap { digest, users in
                    // One more than go is enough to know.
                    let held = try connection.query(
                        """
                        SELECT repository FROM manifest_references WHERE digest = ? AND kind = 'blob'
                        ORDER BY repository LIMIT ?
                        """,
                        .text(digest),
                        .integer(users + 1)
                    ).count
                    guard held <= users else { return nil }
                    return try connection.query(
                        "SELECT size, location FROM blobs WHERE digest = ? AND seen_at < ?",
                        .text(digest),
                        .integer(time)
                    ).first.map { try RemovedBlob(digest: digest, size: $0.integer(0), location: $0.text(1)) }
                }
            }
        }
        return freed
    }
}
