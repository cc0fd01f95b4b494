// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import FoundationEssentials
import NIOCore
import OCI
import Synchronization

/// One repository's part of an import: blobs, then manifests, then tags.
struct RepositoryImport: Sendable {
    /// The deepest nesting of indexes.
    private static let maximumDepth = 8
    /// How many tags one transaction sets.
    private static let tagsAtOnce = 500

    private let parent: RegistryImport
    private let name: RepositoryName
    private let listed = ListedManifests()

    init(_ run: RegistryImport, _ name: RepositoryName) {
        self.parent = run
        self.name = name
    }

    private var source: DockerRegistryStorage { self.parent.source }
    private var store: RegistryStore { self.parent.store }
    private var progress: ImportProgress { self.parent.progress }
    private var isRehearsal: Bool { self.parent.options.isRehearsal }

    func run() async throws {
        let folder = self.source.folder(of: self.name)
        for algorithm in Digest.Algorithm.allCases {
            try await self.forEachName(in: "\(folder)/_layers/\(algorithm.rawValue)", self.parent.options.concurrency) {
                try await self.blob(algorithm, $0, folder)
            }
        }
        for algorithm in Digest.Algorithm.allCases {
            try await self.forEachName(in: "\(folder)/_manifests/revisions/\(algorithm.rawValue)", 1) { encoded in
                guard let digest = self.digest(algorithm, encoded) else { return }
                try await self.manifest(digest, folder, depth: 0)
            }
        }
        try await self.tags(folder)
    }

    /// Does something for each name in a directory, some at once, with few of them in memory.
    private func forEachName(
        in path: String,
        _ limit: Int,
        _ body: @escaping @Sendable (String) async throws -> Void
    ) async throws {
        guard let names = try await self.source.names(in: path) else { return }
        while case let page = try await names.next(), !page.isEmpty {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, name) in page.enumerated() {
                    if index >= max(1, limit) { try await group.next() }
                    try Task.checkCancellation()
                    group.addTask { try await body(name) }
                }
                try await group.waitForAll()
            }
        }
    }

    private func problem(_ item: String, _ reason: String) {
        self.progress.problem(self.name.description, item, reason)
    }

    private func digest(_ algorithm: Digest.Algorithm, _ encoded: String) -> Digest? {
        let digest = try? Digest("\(algorithm.rawValue):\(encoded)")
        if digest == nil { self.problem(encoded, "a directory that is named after no digest") }
        return digest
    }

    // MARK: Blobs

    private func blob(_ algorithm: Digest.Algorithm, _ encoded: String, _ folder: String) async throws {
        guard let digest = self.digest(algorithm, encoded) else { return }
        let target: Digest
        switch try await self.source.link("\(folder)/_layers/\(algorithm.rawValue)/\(encoded)") {
        // Deleted.
        case .missing: return
        case .broken(let reason):
            self.problem(digest.description, reason)
            return
        // What was pushed by SHA-512 lies under its SHA-256.
        case .digest(let found, _): target = found
        }
        if try await self.store.blob(digest, in: self.name) != nil {
            self.progress.update { $0.presentBlobs += 1 }
            return
        }
        do {
            try await self.take(digest, from: self.source.data(of: target))
        } catch let error as ImportError {
            self.problem(digest.description, error.description)
        } catch let error as FileSystemError where error.isOfOneFile {
            self.problem(digest.description, error.description)
        }
    }

    private func take(_ digest: Digest, from path: String) async throws {
        let settlement = self.parent.settlement
        guard !self.isRehearsal else { return try await self.rehearse(digest, path, settlement) }
        var adoption = Adoption.copied
        var bytes: Int64 = 0
        let outcome = try await settlement.settle(digest, size: nil, in: self.name) {
            guard let placed = try await self.place(path, as: digest) else {
                throw ImportError(description: "its data is not there")
            }
            (adoption, bytes) = (placed.2, placed.1)
            return (placed.0, placed.1)
        }
        let (settledAdoption, settledBytes) = (adoption, bytes)
        self.progress.update { report in
            guard case .added = outcome else {
                report.sharedBlobs += 1
                return
            }
            report.blobs += 1
            if settledAdoption == .linked { report.linkedBlobs += 1 } else { report.copiedBytes &+= settledBytes }
        }
    }

    private func rehearse(_ digest: Digest, _ path: String, _ settlement: BlobSettlement) async throws {
        if try await settlement.known(digest, size: nil).isThere {
            self.progress.update { $0.sharedBlobs += 1 }
            return
        }
        let status = try await self.source.threads.blocking { try FileStatus(path: path) }
        guard let status, status.isRegular else { throw ImportError(description: "its data is not there") }
        self.progress.update { $0.blobs += 1 }
    }

    private func place(_ path: String, as digest: Digest) async throws -> (BlobLocation, Int64, Adoption)? {
        if let files = self.parent.blobs as? FileBlobStore { return try await files.adopt(path, as: digest) }
        return try await self.upload(path, as: digest)
    }

    /// Into a store that is not of files: as a client would bring it.
    private func upload(_ path: String, as digest: Digest) async throws -> (BlobLocation, Int64, Adoption)? {
        guard let file = try await self.source.threads.blocking({ try SourceFile(path) }) else { return nil }
        var generator = SystemRandomNumberGenerator()
        let key = UploadKey(repository: self.name, id: UploadID(using: &generator))
        let upload = try await self.parent.blobs.createUpload(key)
        do {
            var hasher: Digest.Hasher? = Digest.Hasher(digest.algorithm)
            var offset: Int64 = 0
            while case let piece = try await self.source.threads.blocking({ [offset] in try file.read(at: offset) }),
                piece.readableBytes > 0
            {
                hasher = try await upload.write([piece], at: offset, hasher: hasher)
                offset += Int64(piece.readableBytes)
            }
            guard let found = hasher?.finalize(), found == digest else {
                throw ImportError(description: "its data of \(offset) bytes has another digest")
            }
            let location = try await self.parent.blobs.place(upload, as: digest)
            await upload.close()
            try await self.parent.blobs.removeUpload(key)
            return (location, offset, .copied)
        } catch {
            await upload.close()
            _ = try? await self.parent.blobs.removeUpload(key)
            throw error
        }
    }

    // MARK: Manifests

    /// Imports a manifest after those that it lists.
    private func manifest(_ digest: Digest, _ folder: String, depth: Int) async throws {
        let writtenAt: Int64
        let path = "\(folder)/_manifests/revisions/\(digest.algorithm.rawValue)/\(digest.encoded)"
        switch try await self.source.link(path) {
        case .missing: return
        case .broken(let reason):
            self.problem(digest.description, reason)
            return
        case .digest(_, let time): writtenAt = time
        }
        // What is broken is not tried again for each index that lists it.
        guard depth == 0 || self.listed.isFirstVisit(digest) else { return }
        if try await self.store.manifest(.digest(digest), in: self.name) != nil {
            if depth == 0, !self.listed.remove(digest) { self.progress.update { $0.presentManifests += 1 } }
            return
        }
        do {
            guard let bytes = try await self.source.manifest(digest) else {
                throw ImportError(description: "its data is not there")
            }
            try await self.manifest(digest, bytes, writtenAt, folder, depth: depth)
        } catch let error as ImportError {
            self.problem(digest.description, error.description)
        } catch let error as FileSystemError where error.isOfOneFile {
            self.problem(digest.description, error.description)
        } catch let error as OCIError {
            self.problem(digest.description, error.message)
        } catch let error as RegistryError {
            self.problem(digest.description, error.reasons)
        }
    }

    private func manifest(
        _ digest: Digest,
        _ bytes: [UInt8],
        _ writtenAt: Int64,
        _ folder: String,
        depth: Int
    ) async throws {
        let manifest = try Manifest(parsing: bytes, mediaType: nil)
        if manifest.isIndex {
            guard depth < Self.maximumDepth else { throw ImportError(description: "indexes nest too deep") }
            for child in manifest.manifests { try await self.manifest(child.digest, folder, depth: depth + 1) }
        }
        guard !self.isRehearsal else {
            if depth == 0 { self.progress.update { $0.manifests += 1 } }
            return
        }
        let request = ManifestService.Request(
            repository: self.name,
            reference: .digest(digest),
            tags: [],
            contentType: manifest.mediaType.rawValue,
            content: ByteBuffer(bytes: bytes),
            condition: nil
        )
        try await self.parent.changing {
            _ = try await self.parent.manifests.put(request)
            try await self.store.setPushTime(min(writtenAt, self.parent.now), of: digest, in: self.name)
        }
        if depth > 0 { self.listed.insert(digest) }
        self.progress.update { $0.manifests += 1 }
    }

    // MARK: Tags

    private func tags(_ folder: String) async throws {
        let path = "\(folder)/_manifests/tags"
        guard let names = try await self.source.names(in: path) else { return }
        while case let page = try await names.next(), !page.isEmpty {
            var found: [RegistryStore.ImportedTag] = []
            for name in page {
                guard let tag = try? Tag(name) else {
                    self.problem(name, "no name of a tag")
                    continue
                }
                switch try await self.source.link("\(path)/\(name)/current") {
                // Deleted.
                case .missing: break
                case .broken(let reason): self.problem(name, reason)
                case .digest(let digest, let writtenAt):
                    found.append(.init(tag: tag, digest: digest, writtenAt: min(writtenAt, self.parent.now)))
                }
            }
            try await self.set(found)
        }
    }

    private func set(_ tags: [RegistryStore.ImportedTag]) async throws {
        guard !tags.isEmpty else { return }
        let moves = self.parent.options.movesTags
        let outcomes: [RegistryStore.TagOutcome]
        if self.isRehearsal {
            outcomes = try await self.store.outcomes(of: tags, in: self.name, moves: moves)
        } else {
            outcomes = try await self.parent.changing {
                try await self.store.importTags(tags, into: self.name, moves: moves, at: self.parent.now)
            }
        }
        for (tag, outcome) in zip(tags, outcomes) {
            switch outcome {
            case .set: self.progress.update { $0.tags += 1 }
            case .present: self.progress.update { $0.presentTags += 1 }
            case .kept: self.progress.update { $0.keptTags += 1 }
            case .dangling: self.problem(tag.tag.description, "stands for \(tag.digest), which was not imported")
            }
        }
    }
}

/// Manifests that were imported before their turn, since an index lists them.
private final class ListedManifests: Sendable {
    private let digests = Mutex<Set<Digest>>([])
    private let visited = Mutex<Set<Digest>>([])

    func isFirstVisit(_ digest: Digest) -> Bool {
        self.visited.withLock { $0.insert(digest).inserted }
    }

    func insert(_ digest: Digest) {
        self.digests.withLock { _ = $0.insert(digest) }
    }

    /// - Returns: false when it is none of them.
    func remove(_ digest: Digest) -> Bool {
        self.digests.withLock { $0.remove(digest) != nil }
    }
}

extension RegistryError {
    /// What is wrong, and with what, of the first few things.
    fileprivate var reasons: String {
        self.items.prefix(3).map { item in
            [item.message, item.detail?["digest"]].compactMap(\.self).joined(separator: ": ")
        }.joined(separator: "; ")
    }
}
