// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import FoundationEssentials
import PercentEncoding
import TUF

extension Updater {
    /// The files of the roles, under their percent-encoded names.
    var folder: MetadataFolder {
        MetadataFolder(self.directory) { Self.fileName(of: $0) }
    }

    /// Every root of the chain, so that trust can be derived anew from the one that was shipped.
    private var rootFolder: String { "\(self.directory)/root_history" }

    /// When the last refresh was.
    var refreshPath: String { "\(self.directory)/.refreshed" }

    /// Which files the last refresh has verified.
    private var verifiedPath: String { "\(self.directory)/.verified" }

    /// The longest name that file systems take, less what a temporary name adds.
    private static let maximumNameLength = 220

    private static func fileName(of role: RoleName) -> String? {
        var name = PercentCoding.encode(role.text)
        // Where the case of letters does not count, the file of another role.
        if role.isDelegation, RoleName.topLevel.contains(RoleName(name.lowercased())), let first = name.utf8.first {
            name = "%" + String(first, radix: 16, uppercase: true) + name.dropFirst()
        }
        return name.utf8.count <= self.maximumNameLength ? name + ".json" : nil
    }

    /// The root of a version that an earlier update has trusted.
    func readRoot(_ version: Int64) async throws -> [UInt8]? {
        let path = "\(self.rootFolder)/\(version).root.json"
        return try await self.storing {
            try await BlockingWork.run { try? DurableFile.read(path, limit: WireFormat.rootLimit) }
        }
    }

    /// Keeps a root that was verified: in the chain, then as the newest unless another process has a newer one.
    /// - Parameter forgotten: roles whose metadata must not bind under this root. It is removed first: whoever stole the keys
    ///   that signed it could lock us out for ever.
    func keep(root: [UInt8], version: Int64, removing forgotten: [RoleName]) async throws {
        let history = self.rootFolder
        try await self.storing {
            try await BlockingWork.run {
                let path = "\(history)/\(version).root.json"
                guard (try? DurableFile.read(path, limit: WireFormat.rootLimit)) != root else { return }
                try DurableFile.makeDirectory(history)
                try DurableFile.replace(path, with: root)
            }
            let file = MetadataFolder.File(role: .root, bytes: root)
            try await self.folder.write([file], removing: forgotten) { _, present, _ in
                present.map { Self.isSuccessor($0, of: version, in: history) } ?? false
            }
        }
    }

    /// Whether a root is of the chain that was verified, and later than a version. One that is in no chain is none of ours,
    /// whatever it says.
    private static func isSuccessor(_ root: [UInt8], of version: Int64, in history: String) -> Bool {
        guard let claimed = try? UnverifiedMetadata(root, format: .tuf).claimedVersion, claimed > version,
            let known = try? DurableFile.read("\(history)/\(claimed).root.json", limit: WireFormat.rootLimit)
        else { return false }
        return known == root
    }

    /// Metadata of a role as it was kept; nil when there is none, or what cannot be metadata.
    func read(_ role: RoleName) async throws -> [UInt8]? {
        try await self.storing { try await self.folder.readUsable(role) }
    }

    /// The file of a role, whatever is put in its place later; nil when there is none.
    func open(_ role: RoleName) async throws -> StoredFile? {
        guard let path = self.folder.path(of: role) else { return nil }
        return try await self.storing { try await BlockingWork.run { try StoredFile.open(path) } }
    }

    /// What a file holds; nil when there is none, or what cannot be metadata.
    func read(_ file: StoredFile?) async throws -> [UInt8]? {
        guard let file else { return nil }
        return try await self.storing {
            try await BlockingWork.run { try file.read(limit: WireFormat.metadataLimit) }
        }
    }

    /// Keeps metadata that was verified with these keys, under a root of this version.
    func keep(_ role: RoleName, _ bytes: [UInt8], verifiedBy keys: RoleKeys, root version: Int64) async throws {
        let (history, rootPath) = (self.rootFolder, self.folder.path(of: .root))
        try await self.storing {
            try await self.folder.write([.init(role: role, bytes: bytes)]) { _, present, offered in
                // Under a later root, this may be what its keys have replaced.
                if let root = rootPath.flatMap({ try? DurableFile.read($0, limit: WireFormat.rootLimit) }),
                    Self.isSuccessor(root, of: version, in: history)
                {
                    return true
                }
                return present.map { TrustedCollection.isNewer($0, than: offered, by: keys, format: .tuf) } ?? false
            }
        }
    }

    /// Remembers when all was found to be current. If the power takes it away, an earlier time counts, or none: that is worth
    /// less than the time that a disk takes to make it durable, each time.
    func keepTime(_ now: Date) async throws {
        let path = self.refreshPath
        try await self.storing {
            try await BlockingWork.run {
                try DurableFile.replace(path, with: Array(Expiry(now).text.utf8), isSynced: false)
            }
        }
    }

    func storing<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as FileSystemError {
            throw UpdaterError(.storage, error.description)
        }
    }
}

// MARK: - What was verified

extension Updater {
    /// What it depends on whether the files on disk are those that were verified; nil before a timestamp is trusted.
    private func verifiedState(_ trusted: TrustedCollection) -> VerifiedState? {
        guard let root = trusted.root, let timestamp = trusted.timestamp,
            let snapshotPath = self.folder.path(of: .snapshot), let targetsPath = self.folder.path(of: .targets)
        else { return nil }
        return VerifiedState(
            snapshotPath: snapshotPath,
            targetsPath: targetsPath,
            root: root.bytes,
            listing: timestamp.payload.snapshot
        )
    }

    /// Snapshot and targets, if they were verified under this root and as this timestamp lists them.
    func verifiedFiles(_ trusted: TrustedCollection) async throws -> VerifiedFiles? {
        guard let state = self.verifiedState(trusted) else { return nil }
        let (path, now) = (self.verifiedPath, trusted.now)
        return try await self.storing {
            try await BlockingWork.run { try VerifiedFiles.open(noted: path, state, at: now) }
        }
    }

    /// Notes that the files of snapshot and targets are those that are trusted.
    /// - Parameters:
    ///   - snapshot: the file that was read; nil when it was written.
    ///   - targets: likewise.
    func note(
        _ trusted: TrustedCollection,
        snapshot: StoredFile.Identity?,
        targets: StoredFile.Identity?
    ) async throws {
        guard let state = self.verifiedState(trusted), let newSnapshot = trusted.snapshot,
            let newTargets = trusted.targets[.targets]
        else { return }
        let path = self.verifiedPath
        let expires = min(newSnapshot.payload.expires, newTargets.payload.expires)
        let sizes = (Int64(newSnapshot.bytes.count), Int64(newTargets.bytes.count))
        try await self.storing {
            try await BlockingWork.run {
                guard let snapshot = try snapshot ?? StoredFile.open(state.snapshotPath)?.identity,
                    let targets = try targets ?? StoredFile.open(state.targetsPath)?.identity,
                    // Another process may have put newer ones there; then there is nothing to be said of them.
                    (snapshot.size, targets.size) == sizes
                else { return }
                try VerifiedFiles.note(path, state, snapshot, targets, until: expires)
            }
        }
    }

    /// Has the next refresh verify everything.
    func forgetVerified() async throws {
        let path = self.verifiedPath
        try await self.storing { try await BlockingWork.run { _ = try DurableFile.remove(path) } }
    }
}
