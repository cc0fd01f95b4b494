// SPDX-License-Identifier: Apache-2.0

import OCI
import Synchronization

/// One repository's part of a copy.
struct RepositoryCopy: Sendable {
    /// How many tags are looked at in one go.
    private static let tagsAtOnce = 1000

    let copier: RegistryCopier
    let name: RepositoryName
    let target: RepositoryName
    /// All tags are copied, also those that stand for lists of referrers.
    let isWhole: Bool
    let tally: CopyTally

    init(_ copier: RegistryCopier, _ name: RepositoryName, _ target: RepositoryName, isWhole: Bool) {
        self.copier = copier
        self.name = name
        self.target = target
        self.isWhole = isWhole
        self.tally = CopyTally(name, target, copier.progress)
    }

    /// Copies the tags that a filter admits.
    /// - Parameters:
    ///   - filter: which tags.
    ///   - mustExist: a repository without tags in a catalog is one whose images were all deleted.
    /// - Throws: `CancellationError`.
    func tags(_ filter: CopyFilter, mustExist: Bool) async throws {
        var tags: [Tag]
        do {
            tags = try await self.copier.source.listTags(self.name).filter { filter.admits(self.name, $0) }
        } catch let error as CancellationError {
            throw error
        } catch let error as RegistryError where error.code == .notFound && !mustExist {
            return
        } catch {
            self.tally.fail(self.name.description, error)
            return
        }
        self.copier.progress.update { [count = tags.count] in $0.tags += count }
        while !tags.isEmpty {
            let next = Array(tags.prefix(Self.tagsAtOnce))
            tags.removeFirst(next.count)
            // Several names of one image are one image.
            let images = try await self.resolve(next)
            try await forEachConcurrently(images, limit: max(1, self.copier.options.concurrency / 2)) { image in
                try await self.image(image.descriptor, as: image.tags)
            }
        }
    }

    private struct NamedImage: Sendable {
        let descriptor: Descriptor
        var tags: [Tag]
    }

    private func resolve(_ tags: [Tag]) async throws -> [NamedImage] {
        let found = Mutex<[Digest: NamedImage]>([:])
        try await forEachConcurrently(tags, limit: self.copier.options.concurrency) { tag in
            try await self.attempt("\(self.name):\(tag)", tags: 1) {
                let descriptor = try await self.copier.source.headManifest(self.name, .tag(tag))
                found.withLock {
                    $0[descriptor.digest, default: NamedImage(descriptor: descriptor, tags: [])].tags.append(tag)
                }
            }
        }
        return found.withLock { $0.values.map { NamedImage(descriptor: $0.descriptor, tags: $0.tags.sorted()) } }
            .sorted { ($0.tags.first?.description ?? "") < ($1.tags.first?.description ?? "") }
    }

    /// Copies one image.
    /// - Throws: `CancellationError`.
    func image(_ reference: Reference, as tags: [Tag]) async throws {
        let name = "\(self.name)\(reference.digest == nil ? ":" : "@")\(reference)"
        try await self.attempt(name, tags: max(1, tags.count)) {
            let descriptor = try await self.copier.source.headManifest(self.name, reference)
            // A registry that calls its content by another algorithm is asked by the digest that was meant.
            let wanted = Descriptor(
                mediaType: descriptor.mediaType,
                digest: reference.digest ?? descriptor.digest,
                size: descriptor.size
            )
            try await self.copy(wanted, as: tags)
        }
    }

    private func image(_ descriptor: Descriptor, as tags: [Tag]) async throws {
        let name = tags.first.map { "\(self.name):\($0)" } ?? "\(self.name)@\(descriptor.digest)"
        try await self.attempt(name, tags: tags.count) { try await self.copy(descriptor, as: tags) }
    }

    private func copy(_ descriptor: Descriptor, as tags: [Tag]) async throws {
        var top = descriptor
        if let platform = self.copier.options.platform {
            top = try await self.copier.source.resolve(top, of: self.name, for: platform)
        }
        var missing: [Tag] = []
        var isKept = false
        for tag in tags {
            switch try await self.state(of: tag, wanted: top.digest) {
            case .absent: missing.append(tag)
            case .same: self.tally.note(tagExisted: true)
            case .kept:
                self.tally.note(tagExisted: true)
                isKept = true
            }
        }
        if isKept, missing.isEmpty { return }
        try await ImageCopy(self).run(top, as: missing)
        for _ in missing { self.tally.note(tagExisted: false) }
    }

    enum TagState {
        case absent
        case same
        /// It names something else, and is to go on doing so.
        case kept
    }

    func state(of tag: Tag, wanted digest: Digest) async throws -> TagState {
        do {
            let present = try await self.copier.destination.headManifest(self.target, .tag(tag))
            if present.digest == digest { return .same }
            return self.copier.options.keepsTags ? .kept : .absent
        } catch let error as RegistryError where error.code == .notFound {
            return .absent
        }
    }

    /// Does something about an image, and takes note when it fails.
    private func attempt(_ image: String, tags: Int, _ body: () async throws -> Void) async throws {
        guard !self.copier.isGivenUp else {
            let error = RegistryError(.unreachable, "not tried, since a registry is out of reach; run it again later")
            self.tally.fail(image, error, tags: tags)
            return
        }
        do {
            try await body()
            self.copier.note(reached: true)
        } catch {
            try Task.checkCancellation()
            if error is CancellationError { throw error }
            self.copier.note(reached: (error as? RegistryError)?.code != .unreachable)
            self.tally.fail(image, error, tags: tags)
        }
    }
}
