// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import DurableFiles
package import FoundationEssentials
package import TUF

/// A TUF 1.0 repository in a directory that any web server can serve.
///
/// `metadata` and `targets` are what readers see. A file in them never changes once it is named by other metadata, but for
/// `timestamp.json`, which is replaced last: so at every moment, and after a crash at any moment, readers get the repository
/// before a publish or the one after it. (Without consistent snapshots files are replaced in place: readers may be refused for a
/// moment.) Changes are staged, and published together. Metadata whose threshold the keys at hand do not meet waits in `pending`
/// for the signatures of others.
package struct StaticRepository: Sendable {
    /// The directory.
    package let directory: String
    let files: any RepositoryFiles
    let keys: any SigningKeySource
    let now: @Sendable () -> Date

    /// - Parameters:
    ///   - directory: where it lies, or will.
    ///   - keys: what to sign with.
    ///   - files: how to reach the directory's files.
    ///   - now: the time.
    package init(
        directory: String,
        keys: any SigningKeySource,
        files: (any RepositoryFiles)? = nil,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.directory = directory
        self.files = files ?? LocalFiles(directory)
        self.keys = keys
        self.now = now
    }

    /// Reads what is published.
    func working() throws -> WorkingCopy { try WorkingCopy(self.files, at: self.now()) }

    /// Runs what reads and writes files, off the cooperative pool.
    func blocking<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await BlockingWork.run(work)
    }

    /// Runs what nobody else may do in the directory at the same time.
    func locked<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await RepositoryLock.holding(self.directory, body)
    }
}

// MARK: - Beginning

extension StaticRepository {
    /// Makes a repository without targets, and publishes it if the keys at hand meet every threshold.
    /// - Parameters:
    ///   - signers: of each top-level role.
    ///   - settings: how long metadata is valid.
    ///   - isConsistent: whether file names carry versions and hashes.
    /// - Throws: ``RepositoryError`` with code `exists`, `invalid` or `storage`; as ``publish()``.
    package func create(
        signers: [RoleName: Signers],
        settings: RepositorySettings = RepositorySettings(),
        isConsistent: Bool = true
    ) async throws -> PublishOutcome {
        for role in RoleName.topLevel {
            guard let signers = signers[role], signers.threshold >= 1,
                signers.threshold <= Int64(Set(signers.keys.map(\.id)).count)
            else {
                throw RepositoryError(
                    .invalid,
                    "\(role) needs keys, and a threshold from 1 to their number"
                )
            }
        }
        let directory = self.directory
        try await self.blocking {
            do {
                try DurableFile.makeDirectory(directory, permissions: 0o755)
            } catch let error as FileSystemError {
                throw RepositoryError(.storage, error.description)
            }
        }
        return try await self.locked {
            try await self.blocking { try self.begin(signers, settings, isConsistent) }
            return try await self.advance(stagedChanges: false)
        }
    }

    /// - Throws: ``RepositoryError`` with code `exists` when there is a repository already.
    package func requireNone() async throws {
        try await self.blocking { try self.checkNone() }
    }

    private func checkNone() throws {
        guard try !self.files.exists(RepositoryLayout.settings), try self.files.list(RepositoryLayout.metadata).isEmpty
        else { throw RepositoryError(.exists, "there is a repository in \(self.directory) already") }
    }

    private func begin(_ signers: [RoleName: Signers], _ settings: RepositorySettings, _ isConsistent: Bool) throws {
        try self.checkNone()
        // A first attempt may have been cut short.
        try self.pending.removeAll()
        let now = self.now()
        func expiry(_ role: RoleName) -> Expiry {
            Expiry(now.addingTimeInterval(Double(settings[role].validity)))
        }
        var root = Root(
            version: 1,
            expires: expiry(.root),
            keys: signers.values.flatMap(\.keys),
            roles: signers.mapValues { signers in
                var seen: Set<KeyID> = []
                let ids = signers.keys.map(\.id).filter { seen.insert($0).inserted }
                return RoleDefinition(keyIDs: ids, threshold: signers.threshold)
            }
        )
        root.consistentSnapshot = isConsistent
        let targets = Targets(version: 1, expires: expiry(.targets))
        try self.pending.write(
            [
                (.root, try PendingMetadata(root, format: .tuf)),
                (.targets, try PendingMetadata(targets, format: .tuf)),
            ],
            changes: []
        )
        // This makes it a repository, so it comes last.
        try self.files.replace(RepositoryLayout.settings, with: settings.bytes)
    }
}

// MARK: - Staging

extension StaticRepository {
    private static let changeLimit = 16 << 20
    private static let countLimit = 1 << 20

    /// A change and the name of its file.
    package struct Staged: Sendable, Hashable {
        package let name: String
        package let change: StagedChange
        /// Whether metadata that waits for signatures has it already.
        package let isPending: Bool
    }

    /// Stages a file under a path. Its content is copied.
    /// - Returns: what was found of it.
    /// - Throws: ``RepositoryError`` with code `invalid`, `noRepository` or `storage`.
    @discardableResult
    package func add(
        _ path: String,
        file source: String,
        custom: JSONValue? = nil,
        role: RoleName? = nil
    ) async throws -> TargetFile {
        try RepositoryLayout.check(targetPath: path)
        try await self.requireRepository()
        var file = try await self.blocking { try self.files.take(source, into: RepositoryLayout.content) }
        file.custom = custom
        let content = "\(RepositoryLayout.content)/\(Hexadecimal.encode(file.hashes.sha256 ?? []))"
        try await self.stage([.addTarget(path, file, role: role)]) {
            // A publish may have cleared the copy away meanwhile, as nothing named it yet.
            if try !self.files.exists(content) { _ = try self.files.take(source, into: RepositoryLayout.content) }
        }
        return file
    }

    /// Stages changes, in order, behind those that are staged. A target that is added so has its file elsewhere.
    /// - Throws: ``RepositoryError`` with code `invalid` for one that cannot be made, `noRepository` or `storage`.
    package func stage(_ changes: [StagedChange]) async throws {
        try await self.stage(changes) {}
    }

    private func stage(
        _ changes: [StagedChange],
        preparing prepare: @escaping @Sendable () throws -> Void
    ) async throws {
        try await self.requireRepository()
        try await self.locked {
            try await self.blocking {
                try prepare()
                try self.check(changes)
                var next = (try self.stagedNames().last.flatMap { Int($0.prefix(12)) } ?? 0) + 1
                for change in changes {
                    let digits = String(next)
                    let name = String(repeating: "0", count: max(0, 12 - digits.utf8.count)) + digits + ".json"
                    try self.files.replace("\(RepositoryLayout.changes)/\(name)", with: change.bytes)
                    next += 1
                }
            }
        }
    }

    /// Says of what cannot be done that it cannot now, not when it is published.
    private func check(_ changes: [StagedChange]) throws {
        // Where a target's path is right and no role is named, nothing can be wrong: there may be a million of them to read.
        let areSimple = try changes.allSatisfy { change in
            switch change {
            case .addTarget(let path, _, role: nil):
                try RepositoryLayout.check(targetPath: path)
                return true
            case .removeTarget(_, role: nil): return true
            default: return false
            }
        }
        guard !areSimple, try self.pending.names().isEmpty else { return }
        var working = try self.working()
        guard working.root != nil else { return }
        for change in try self.stagedChanges().map(\.change) + changes { try working.apply(change) }
    }

    /// - Throws: ``RepositoryError`` with code `noRepository` when there is none.
    package func requireRepository() async throws {
        try await self.blocking {
            guard try self.files.exists(RepositoryLayout.settings) else {
                throw RepositoryError(
                    .noRepository,
                    "there is no repository in \(self.directory): hallmark init makes one"
                )
            }
        }
    }

    private func stagedNames() throws -> [String] {
        try self.files.list(RepositoryLayout.changes).filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
    }

    /// The staged changes in order.
    /// - Throws: ``RepositoryError`` with code `malformed` or `storage`.
    func stagedChanges() throws -> [Staged] {
        let names = try self.stagedNames()
        guard names.count <= Self.countLimit else {
            throw RepositoryError(.malformed, "more than \(Self.countLimit) changes are staged: reset them")
        }
        let pending = Set(try self.pending.changes())
        return try names.compactMap { name in
            let path = "\(RepositoryLayout.changes)/\(name)"
            guard let bytes = try self.files.read(path, limit: Self.changeLimit) else { return nil }
            do {
                return Staged(name: name, change: try StagedChange(bytes), isPending: pending.contains(name))
            } catch let error as RepositoryError {
                throw RepositoryError(.malformed, "\(path): \(error.message); remove it, or reset all changes")
            }
        }
    }

    /// Drops all staged changes, and the metadata that waits for signatures unless nothing is published yet.
    /// - Throws: ``RepositoryError`` with code `storage` or `noRepository`.
    package func reset() async throws {
        try await self.requireRepository()
        try await self.locked {
            try await self.blocking {
                if try self.working().publishedRoot != nil { try self.pending.removeAll() }
                let names = try self.files.list(RepositoryLayout.changes)
                if !names.isEmpty { try self.files.remove(names.map { "\(RepositoryLayout.changes)/\($0)" }) }
                try self.removeUnusedContent()
            }
        }
    }

    /// Removes copies of files that no staged change names.
    func removeUnusedContent() throws {
        let used = Set(
            try self.stagedChanges().compactMap { staged -> String? in
                guard case .addTarget(_, let file, _) = staged.change else { return nil }
                return Hexadecimal.encode(file.hashes.sha256 ?? [])
            }
        )
        let unused = try self.files.list(RepositoryLayout.content).filter { !used.contains($0) }
        if !unused.isEmpty { try self.files.remove(unused.map { "\(RepositoryLayout.content)/\($0)" }) }
    }
}
