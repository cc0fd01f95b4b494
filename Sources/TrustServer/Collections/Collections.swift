// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import NotaryAPI
import Synchronization
import TUF

/// All collections: the database, and what is in memory of it.
final class Collections: Sendable {
    let store: TrustStore
    /// An optimisation: of publishers who race, all but one would have to start again. What keeps the store right is the
    /// check in the transaction, which also holds between processes.
    let locks = KeyedLock<GUN>()
    let configuration: TrustServerConfiguration
    let now: @Sendable () -> Date

    private let cache: CollectionCache
    /// Of each role what was verified last: nobody asks for what it has replaced.
    private let verified: Mutex<RecentValues<VerifiedKey, VerifiedFile>>
    /// Nil: what is in memory is always the newest.
    private let believedFor: Int64?

    private struct VerifiedKey: Sendable, Hashable {
        let gun: GUN
        let role: RoleName
    }

    private struct VerifiedFile: Sendable {
        enum Content: Sendable {
            case root(Verified<Root>)
            case targets(Verified<Targets>, by: RoleKeys)
        }

        let sha256: String
        let content: Content
    }

    init(store: TrustStore, configuration: TrustServerConfiguration, now: @escaping @Sendable () -> Date) {
        self.store = store
        self.configuration = configuration
        self.now = now
        self.cache = CollectionCache(size: configuration.cacheSize)
        self.verified = Mutex(RecentValues(limit: configuration.cacheSize))
        self.believedFor = configuration.revalidation.map(\.milliseconds)
    }

    /// Milliseconds since 1970.
    var milliseconds: Int64 { Int64((self.now().timeIntervalSince1970 * 1000).rounded(.down).bounded) }

    // MARK: From memory

    /// The current state, if it is in memory and to be believed.
    func headInMemory(of gun: GUN) -> CollectionHead? {
        guard let head = self.cache.head(of: gun) else { return nil }
        guard let believedFor else { return head }
        return self.milliseconds - head.checkedAt.load(ordering: .relaxed) < believedFor ? head : nil
    }

    /// A file, if it is in memory and its collection is known to be there still.
    func fileInMemory(_ role: RoleName, _ reference: MetadataReference, of gun: GUN) -> ServedFile? {
        if self.believedFor != nil, self.headInMemory(of: gun) == nil { return nil }
        return self.cache.file(FileKey(gun: gun, role: role, reference: reference))
    }

    // MARK: From memory or the database

    /// The current state; nil when nothing is published.
    func head(of gun: GUN) async throws -> CollectionHead? {
        if let head = self.headInMemory(of: gun) { return head }
        let moment = self.milliseconds
        if let head = self.cache.head(of: gun) {
            // Another server may have gone on: the timestamp's row tells.
            let pointer = try await self.store.pointer(of: gun)
            if pointer == head.pointer {
                head.checkedAt.store(moment, ordering: .relaxed)
                return head
            }
            if pointer?.version ?? 0 <= head.timestamp.version {
                self.cache.forgetAll(of: gun)
            } else {
                self.cache.forgetHead(of: gun)
            }
        }
        return try await self.storedHead(of: gun)
    }

    /// The current state as the database has it.
    func storedHead(of gun: GUN) async throws -> CollectionHead? {
        let ticket = self.cache.ticket(for: gun)
        let moment = self.milliseconds
        guard let stored = try await self.store.head(of: gun) else { return nil }
        let head = try CollectionHead(
            gun: gun,
            timestamp: stored.timestamp,
            snapshot: stored.snapshot,
            configuration: self.configuration,
            checkedAt: moment
        )
        self.cache.keep(head, readWith: ticket)
        return head
    }

    /// What a state that is known to be the newest names as the metadata of a role; nil when it names none.
    func file(_ role: RoleName, of head: CollectionHead) async throws -> ServedFile? {
        guard let hash = head.sha256(of: role) else { return nil }
        let reference = MetadataReference.sha256(hash)
        if let file = self.cache.file(FileKey(gun: head.gun, role: role, reference: reference)) { return file }
        return try await self.storedFile(role, reference, of: head.gun)
    }

    /// A file by hash or version; nil when there is none.
    func file(_ role: RoleName, _ reference: MetadataReference, of gun: GUN) async throws -> ServedFile? {
        if let file = self.fileInMemory(role, reference, of: gun) { return file }
        // Its name says what is in it, but the collection may have been deleted elsewhere.
        let key = FileKey(gun: gun, role: role, reference: reference)
        if self.believedFor != nil, case .sha256 = reference, self.cache.file(key) != nil {
            guard try await self.head(of: gun) != nil else {
                self.cache.forgetAll(of: gun)
                return nil
            }
            if let file = self.cache.file(key) { return file }
        }
        return try await self.storedFile(role, reference, of: gun)
    }

    private func storedFile(
        _ role: RoleName,
        _ reference: MetadataReference,
        of gun: GUN
    ) async throws -> ServedFile? {
        let ticket = self.cache.ticket(for: gun)
        guard let stored = try await self.store.file(role, reference, of: gun) else { return nil }
        let file = ServedFile(stored, configuration: self.configuration)
        self.cache.keep(file, as: FileKey(gun: gun, role: role, reference: reference), readWith: ticket)
        return file
    }

    // MARK: Verified

    /// The root that is in force, verified; nil when nothing is published.
    /// - Throws: `TUFError` when the stored root does not verify.
    func root(of head: CollectionHead?) async throws -> Verified<Root>? {
        guard let head else { return nil }
        var stored: StoredFile?
        if let hash = head.sha256(of: .root) {
            if case .root(let root) = self.verified(.root, in: head.gun, sha256: hash) { return root }
            stored = try await self.file(.root, of: head)?.file
        }
        // A damaged collection must not look like one without a root, which anybody could give it.
        if stored == nil { stored = try await self.store.file(.root, .current, of: head.gun) }
        guard let stored else { return nil }
        let root = try RootTrust(gun: head.gun.text).verifyStored(UnverifiedMetadata(stored.bytes, format: .notary))
        self.keep(root, in: head.gun, sha256: stored.sha256)
        return root
    }

    /// The current metadata of a targets role, verified by these keys; nil when it has none.
    /// - Throws: `TUFError` when what is stored is not signed by them.
    func targets(_ role: RoleName, of head: CollectionHead?, by keys: RoleKeys) async throws -> Verified<Targets>? {
        guard let head, let hash = head.sha256(of: role) else { return nil }
        if case .targets(let targets, let signers) = self.verified(role, in: head.gun, sha256: hash), signers == keys {
            return targets
        }
        guard let stored = try await self.file(role, of: head)?.file else { return nil }
        let targets = try UnverifiedMetadata(stored.bytes, format: .notary).verified(as: Targets.self, by: keys)
        self.keep(targets, role, by: keys, in: head.gun, sha256: hash)
        return targets
    }

    func keep(_ root: Verified<Root>, in gun: GUN, sha256: String) {
        self.keep(.root(root), .root, in: gun, sha256: sha256, size: root.bytes.count)
    }

    func keep(_ targets: Verified<Targets>, _ role: RoleName, by keys: RoleKeys, in gun: GUN, sha256: String) {
        self.keep(.targets(targets, by: keys), role, in: gun, sha256: sha256, size: targets.bytes.count)
    }

    private func keep(_ content: VerifiedFile.Content, _ role: RoleName, in gun: GUN, sha256: String, size: Int) {
        let file = VerifiedFile(sha256: sha256, content: content)
        self.verified.withLock { $0.insert(file, for: VerifiedKey(gun: gun, role: role), cost: 2048 + 8 * size) }
    }

    private func verified(_ role: RoleName, in gun: GUN, sha256: String) -> VerifiedFile.Content? {
        let file = self.verified.withLock { $0.value(for: VerifiedKey(gun: gun, role: role)) }
        return file?.sha256 == sha256 ? file?.content : nil
    }

    // MARK: Changes

    /// Stores the files, and makes them current in memory before this returns.
    func commit(_ commit: TrustCommit, snapshot: StoredFile?) async throws -> TrustCommitResult {
        let result: TrustCommitResult
        do {
            result = try await self.store.commit(commit)
        } catch {
            // Whether it was stored is not known.
            self.cache.forgetHead(of: commit.gun)
            throw error
        }
        guard result == .stored else {
            self.cache.forgetHead(of: commit.gun)
            return result
        }
        if let timestamp = commit.files.first(where: { $0.role == .timestamp }),
            let head = try? CollectionHead(
                gun: commit.gun,
                timestamp: timestamp,
                snapshot: snapshot,
                configuration: self.configuration,
                checkedAt: commit.now
            )
        {
            let files = commit.files.map { ServedFile($0, configuration: self.configuration) }
            self.cache.advance(to: head, files: files)
        } else {
            self.cache.forgetHead(of: commit.gun)
        }
        return result
    }

    /// Deletes a collection, from memory before this returns.
    func delete(_ gun: GUN) async throws {
        defer { self.cache.forgetAll(of: gun) }
        try await self.store.delete(gun, now: self.milliseconds)
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        let (product, overflow) = self.components.seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? .max : product + self.components.attoseconds / 1_000_000_000_000_000
    }
}

extension Double {
    fileprivate var bounded: Double { self.isFinite ? Swift.min(Swift.max(self, 0), 1e15) : 0 }
}
