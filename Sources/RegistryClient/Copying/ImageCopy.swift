// SPDX-License-Identifier: Apache-2.0

import OCI
import Synchronization

/// One image on its way, with all it consists of and all that refers to it: what is referred to goes before what refers to
/// it.
final class ImageCopy: Sendable {
    /// How many manifests of an index are dealt with at once: of the top only, as each level holds its manifests meanwhile.
    private static func manifestsAtOnce(at depth: Int) -> Int { depth == 0 ? 4 : 1 }
    /// How `cosign` without referrers names what belongs to an image; the empty one is the distribution specification's.
    private static let companionSuffixes = ["", ".sig", ".att", ".sbom"]

    private let repository: RepositoryCopy
    private let seen = Mutex<Set<Digest>>([])
    /// Whether the source lists referrers, once that is known: of this image alone, as one answer must not speak for the others.
    private let listing = Mutex<Bool?>(nil)

    private var copier: RegistryCopier { self.repository.copier }
    private var options: RegistryCopier.Options { self.repository.copier.options }

    init(_ repository: RepositoryCopy) {
        self.repository = repository
    }

    /// Copies the image, and sets tags to it.
    func run(_ top: Descriptor, as tags: [Tag]) async throws {
        try await self.manifest(top, as: tags, depth: 0)
    }

    private func manifest(_ descriptor: Descriptor, as tags: [Tag] = [], depth: Int) async throws {
        let digest = descriptor.digest
        let (isNew, count) = self.seen.withLock { ($0.insert(digest).inserted, $0.count) }
        guard isNew else {
            // Another name of what has come already: two images may have the same SBOM.
            if !tags.isEmpty { try await self.name(descriptor, tags, depth: depth) }
            return
        }
        guard depth <= ImagePusher.maximumDepth, count <= ImagePusher.maximumManifests else {
            throw OCIError(.manifestInvalid, "\(digest) is nested too deep, or too much belongs to its image")
        }
        let isThere = try await self.copier.destination.hasManifest(self.repository.target, digest)
        var fetched: FetchedManifest?
        if !isThere || !tags.isEmpty {
            let manifest = try await self.copier.source.getManifest(
                self.repository.name,
                .digest(digest),
                size: descriptor.size
            )
            fetched = manifest
            if !isThere { try await self.parts(of: manifest, depth: depth) }
            try await self.put(manifest, as: tags, isThere: isThere)
        }
        self.repository.tally.note(manifest: digest, existed: isThere)
        guard self.options.includesReferrers else { return }
        try await self.referrers(of: digest, depth: depth)
        // What lists it was there, and so were those it lists; what refers to them may be new.
        if isThere, descriptor.mediaType.kind == .index, self.listsReferrers == true || !self.repository.isWhole {
            let index =
                if let fetched { fetched } else {
                    try await self.copier.source.getManifest(
                        self.repository.name,
                        .digest(digest),
                        size: descriptor.size
                    )
                }
            try await self.children(of: index.parse(), depth: depth)
        }
    }

    private func name(_ descriptor: Descriptor, _ tags: [Tag], depth: Int) async throws {
        let manifest = try await self.copier.source.getManifest(
            self.repository.name,
            .digest(descriptor.digest),
            size: descriptor.size
        )
        // Whoever brings it may not be done yet.
        try await self.parts(of: manifest, depth: depth)
        try await self.put(manifest, as: tags, isThere: true)
    }

    private func parts(of fetched: FetchedManifest, depth: Int) async throws {
        let manifest = try fetched.parse()
        try await self.children(of: manifest, depth: depth)
        try await forEachConcurrently(manifest.blobs, limit: self.options.concurrency) { blob in
            try await self.blob(blob)
        }
    }

    private func children(of manifest: Manifest, depth: Int) async throws {
        try await forEachConcurrently(manifest.manifests, limit: Self.manifestsAtOnce(at: depth)) { child in
            try await self.manifest(child, depth: depth + 1)
        }
    }

    private func put(_ manifest: FetchedManifest, as tags: [Tag], isThere: Bool) async throws {
        guard !self.options.isRehearsal else { return }
        let digest = Reference.digest(manifest.descriptor.digest)
        var receipt: ManifestReceipt?
        if tags.isEmpty, !isThere { receipt = try await self.put(manifest, digest) }
        for tag in tags {
            if manifest.descriptor.digest.algorithm != .sha256 {
                // By tag alone a registry would call it by its SHA-256.
                receipt = try await self.put(manifest, digest, tag: tag)
                if receipt?.hasTagged == true { continue }
            }
            receipt = try await self.put(manifest, .tag(tag))
        }
        if !isThere, let receipt, !receipt.hasListedSubject, let subject = try manifest.parse().subject {
            try await self.list(manifest, asReferrerOf: subject.digest)
        }
    }

    private func put(
        _ manifest: FetchedManifest,
        _ reference: Reference,
        tag: Tag? = nil
    ) async throws -> ManifestReceipt {
        try await self.copier.destination.putManifest(
            self.repository.target,
            reference,
            tag: tag,
            bytes: manifest.bytes,
            mediaType: manifest.descriptor.mediaType
        )
    }

    private func blob(_ blob: Descriptor) async throws {
        let (copier, repository) = (self.copier, self.repository)
        guard !repository.tally.hasBlob(blob.digest) else { return }
        try await copier.gate.withTurn(blob.digest) {
            try Task.checkCancellation()
            guard !repository.tally.hasBlob(blob.digest) else { return }
            let outcome: BlobUploadOutcome
            if self.options.isRehearsal {
                let isThere = try await copier.destination.headBlob(repository.target, blob.digest) != nil
                outcome = isThere ? .existed : copier.knownRepository(of: blob.digest) == nil ? .uploaded : .mounted
                if outcome == .uploaded { repository.tally.note(bytes: blob.size) }
            } else {
                let isSame = copier.source.registry == copier.destination.registry
                outcome = try await copier.destination.uploadBlob(
                    repository.target,
                    blob,
                    from: .transfer(
                        BlobTransfer(from: copier.source, repository.name, blob) { repository.tally.note(bytes: $0) }
                    ),
                    mountFrom: copier.knownRepository(of: blob.digest) ?? (isSame ? repository.name : nil)
                )
            }
            copier.note(blob.digest, isIn: repository.target)
            repository.tally.note(outcome, blob)
        }
    }
}

// MARK: Referrers

extension ImageCopy {
    private var listsReferrers: Bool? { self.listing.withLock { $0 } }

    /// Copies what refers to a manifest: as the source lists it, or by the tags that clients keep instead.
    private func referrers(of digest: Digest, depth: Int) async throws {
        if self.listsReferrers != false {
            let listed = try await self.copier.source.listReferrers(self.repository.name, digest)
            // Who has listed once can list: later it is only this one that it does not know.
            if listed != nil || self.listsReferrers == nil { self.listing.withLock { $0 = listed != nil } }
            try await forEachConcurrently(listed ?? [], limit: Self.manifestsAtOnce(at: depth)) { referrer in
                try await self.manifest(referrer, depth: depth + 1)
            }
        }
        // Where all tags are copied, these are among them.
        guard !self.repository.isWhole else { return }
        for suffix in Self.companionSuffixes where !suffix.isEmpty || self.listsReferrers == false {
            let tag = try Tag(digest.referrersTag + suffix)
            let found: Descriptor
            do {
                found = try await self.copier.source.headManifest(self.repository.name, .tag(tag))
            } catch let error as RegistryError where error.code == .notFound {
                continue
            }
            let state = try await self.repository.state(of: tag, wanted: found.digest)
            if state != .kept { try await self.manifest(found, as: state == .same ? [] : [tag], depth: depth + 1) }
            self.repository.tally.note(tagExisted: state != .absent)
        }
    }

    /// Adds a manifest to the list of referrers that clients keep where the registry does not (OCI distribution
    /// specification, "Referrers Tag Schema").
    private func list(_ manifest: FetchedManifest, asReferrerOf subject: Digest) async throws {
        let (destination, target) = (self.copier.destination, self.repository.target)
        let tag = try Tag(subject.referrersTag)
        try await self.copier.gate.withTurn(subject) {
            let present: FetchedManifest?
            do {
                present = try await destination.getManifest(target, .tag(tag))
            } catch let error as RegistryError where error.code == .notFound {
                present = nil
            }
            guard let bytes = try ReferrersIndex.adding(manifest, to: present) else { return }
            try await destination.putManifest(target, .tag(tag), bytes: bytes, mediaType: .imageIndex)
        }
    }
}

extension Digest {
    /// The tag that stands for the list of this manifest's referrers where the registry keeps none.
    var referrersTag: String { "\(self.algorithm.rawValue.prefix(32))-\(self.encoded.prefix(64))" }
}
