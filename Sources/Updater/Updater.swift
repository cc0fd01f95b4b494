// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import FoundationEssentials
import PercentEncoding
import TUF

/// The way to one TUF repository: what was trusted of it before, on disk, and the transport that has news of it.
///
/// Any number of processes may use one directory at once, and each may refresh as often as it likes.
package struct Updater: Sendable {
    /// What is the same for every use of one repository.
    package struct Settings: Sendable {
        /// Whether the names of targets in consistent snapshots begin with their hash. Some repositories leave it out.
        package var prefixTargetsWithHash = true

        /// Makes the usual settings.
        package init() {}
    }

    /// The way to the repository.
    package let transport: any RepositoryTransport
    /// The directory of what was trusted before.
    package let directory: String
    /// The settings.
    package let settings: Settings
    /// The time that everything is compared with.
    package let now: @Sendable () -> Date

    /// The root that was shipped; nil where the directory holds the root to begin with.
    private let trustedRoot: [UInt8]?

    /// Makes an updater.
    ///
    /// - Parameters:
    ///   - transport: the way to the repository.
    ///   - directory: what was trusted before; it is made when it is first written to.
    ///   - trustedRoot: a root that came with the application, over a channel that is trusted. Everything is derived from it
    ///     each time, so that a directory that is damaged, or another repository's, heals. Without it the directory's own
    ///     root is where trust begins: see ``trust(root:)``.
    ///   - settings: what is peculiar to the repository.
    ///   - now: the time that everything is compared with.
    package init(
        transport: any RepositoryTransport,
        directory: String,
        trustedRoot: [UInt8]? = nil,
        settings: Settings = Settings(),
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.transport = transport
        self.directory = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        self.trustedRoot = trustedRoot
        self.settings = settings
        self.now = now
    }

    /// Makes a root that was checked by other means the one that trust begins with, in place of any that is there.
    /// - Throws: ``UpdaterError`` when it does not vouch for itself, or cannot be written.
    package func trust(root: [UInt8]) async throws {
        var trusted = TrustedCollection(trust: .succession, format: .tuf, at: self.now())
        try await UpdaterError.refusing { try trusted.rememberRoot(root) }
        try await self.storing {
            try await self.folder.write([.init(role: .root, bytes: root)]) { _, _, _ in false }
        }
    }

    /// Learns what is current and verifies it down to the top-level targets. Delegated roles are loaded when they are asked
    /// for.
    ///
    /// Each file replaces the one in the directory as soon as it is verified; a refusal leaves what is there.
    /// - Throws: ``UpdaterError``.
    package func refresh() async throws -> TrustedRepository {
        var update = try await self.begin()
        try await UpdaterError.refusing { try await update.refresh() }
        return TrustedRepository(update)
    }

    /// What was current when it was last refreshed, without asking the repository. All of it must be in force still.
    /// - Parameter maximumAge: the longest time since that refresh, in seconds.
    /// - Throws: ``UpdaterError`` with code `expired` when it is too long ago, `noTrustData` when there never was one.
    package func cached(maximumAge: TimeInterval) async throws -> TrustedRepository {
        var update = try await self.begin()
        try await self.requireRefreshed(since: maximumAge)
        try await UpdaterError.refusing { try await update.load() }
        return TrustedRepository(update)
    }

    private func begin() async throws -> RepositoryUpdate {
        var update = RepositoryUpdate(self)
        try await UpdaterError.refusing { try await update.loadRoot(self.trustedRoot) }
        return update
    }

    private func requireRefreshed(since maximumAge: TimeInterval) async throws {
        let (path, now) = (self.refreshPath, self.now())
        let text = try await self.storing { try await BlockingWork.run { try DurableFile.read(path, limit: 64) } }
        guard let text, let last = try? Expiry(parsing: String(decoding: text, as: UTF8.self)) else {
            throw UpdaterError(
                .noTrustData,
                "nothing was ever refreshed into \(self.directory), so it cannot be used offline: refresh it first"
            )
        }
        let age = now.timeIntervalSince(last.date)
        // A refresh in the future says that one of the two clocks was wrong, and so nothing about the age.
        guard age <= maximumAge, age > -Self.clockSlack else {
            throw UpdaterError(
                .expired,
                "\(self.directory) was last refreshed at \(last), which is not within \(Int(maximumAge)) s before "
                    + "\(Expiry(now)): refresh it"
            )
        }
    }

    private static let clockSlack: TimeInterval = 300
}

// MARK: - The directory

extension Updater {
    /// The files of the roles, under their percent-encoded names.
    var folder: MetadataFolder {
        MetadataFolder(self.directory) { Self.fileName(of: $0) }
    }

    /// Every root of the chain, so that trust can be derived anew from the one that was shipped.
    private var rootFolder: String { "\(self.directory)/root_history" }

    /// When the last refresh was.
    private var refreshPath: String { "\(self.directory)/.refreshed" }

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

    /// Remembers when all was found to be current.
    func keepTime(_ now: Date) async throws {
        let path = self.refreshPath
        try await self.storing {
            try await BlockingWork.run { try DurableFile.replace(path, with: Array(Expiry(now).text.utf8)) }
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
