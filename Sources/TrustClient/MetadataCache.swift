// SPDX-License-Identifier: Apache-2.0

import Ceremony
import DurableFiles
package import FoundationEssentials
package import NotaryAPI
package import TUF
import Updater

/// What was last trusted of each collection, as files below the trust directory: `tuf/<GUN>/metadata/<role>.json`, exactly as
/// `notary` and `docker` keep it, so that either may go on where the other stopped.
///
/// Only verified metadata is written. Each file is replaced as a whole, and several are written under one lock; a file is
/// never replaced by an older version of it, unless the caller has the proof that it may be (a root that replaced the keys).
package struct MetadataCache: Sendable {
    /// The trust directory, such as `~/.docker/trust`.
    package let directory: String

    /// Opens the cache below a trust directory, which is made when it is first written to.
    package init(directory: String) {
        self.directory = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
    }

    /// The directory of all that is kept of one collection but its keys.
    package func directory(of gun: GUN) -> String {
        "\(self.directory)/tuf/\(gun.text)"
    }

    /// The file of a role.
    package func path(of role: RoleName, in gun: GUN) -> String {
        "\(self.directory(of: gun))/metadata/\(role.text).json"
    }

    /// The bytes kept for a role; nil when there are none.
    /// - Throws: ``TrustClientError`` with code `storage`.
    package func read(_ role: RoleName, of gun: GUN) async throws -> [UInt8]? {
        try Self.check([role], gun)
        return try await TrustDirectory.naming { try await self.folder(of: gun).read(role) }
    }

    /// Keeps metadata that was verified together, in the order given.
    ///
    /// - Parameter isNewer: whether the file that is present is good and newer than the one offered, because another process
    ///   has come further meanwhile. It is kept then.
    func write(
        _ files: [MetadataUpload],
        of gun: GUN,
        unless isNewer: @escaping @Sendable (_ role: RoleName, _ present: [UInt8], _ offered: [UInt8]) -> Bool = {
            _,
            _,
            _ in false
        }
    ) async throws {
        try Self.check(files.map(\.role), gun)
        try await TrustDirectory.naming {
            try await self.folder(of: gun).write(
                files.map { MetadataFolder.File(role: $0.role, bytes: $0.bytes) }
            ) { role, present, offered in
                present.map { isNewer(role, $0, offered) } ?? false
            }
        }
    }

    /// Forgets metadata of roles.
    /// - Parameter withDelegations: that of all delegated roles as well.
    package func remove(_ roles: [RoleName], of gun: GUN, withDelegations: Bool = false) async throws {
        try Self.check(roles, gun)
        let folder = self.folder(of: gun)
        try await TrustDirectory.naming {
            try await folder.remove(roles) {
                if withDelegations { try TrustDirectory.removeTree("\(folder.directory)/\(RoleName.targets.text)") }
            }
        }
    }

    /// Forgets a collection: its metadata, its staged changes and what waits for signatures, not its keys, and not the collections below its name.
    package func removeAll(of gun: GUN) async throws {
        try Self.check(gun)
        let directory = self.directory(of: gun)
        try await TrustDirectory.run {
            let files = RoleName.topLevel.map { "\($0.text).json" } + [RoleName.targets.text]
            for name in files { try TrustDirectory.removeTree("\(directory)/metadata/\(name)") }
            for name in try TrustDirectory.list("\(directory)/changelist") where name.hasSuffix(Changelist.suffix) {
                try DurableFile.remove("\(directory)/changelist/\(name)")
            }
            try PendingFolder(PrivateFiles(directory), format: .notary).removeAll()
            // What else is there, such as a collection whose name is longer, keeps its directories.
            for path in ["metadata", "changelist", PendingFolder.name].map({ "\(directory)/\($0)" }) + [directory] {
                TrustDirectory.removeIfEmpty(path)
            }
        }
    }

    /// What was noted of a collection's pins; nil when nothing was.
    func pinNote(of gun: GUN) async throws -> [UInt8]? {
        let path = self.pinNotePath(of: gun)
        return try await TrustDirectory.run { try DurableFile.read(path, limit: 1 << 12) }
    }

    /// Notes something of a collection's pins, beside the directories that other clients read.
    func keep(_ note: [UInt8], asPinNoteOf gun: GUN) async throws {
        let path = self.pinNotePath(of: gun)
        try await TrustDirectory.run {
            try DurableFile.makeDirectory(DurableFile.directory(of: path))
            try DurableFile.replace(path, with: note, permissions: 0o600)
        }
    }

    /// When a server last said that what is kept of a collection is current; nil when that was never noted.
    package func confirmedAt(_ gun: GUN) async throws -> Date? {
        let path = self.notePath(of: gun, in: "confirmed")
        let bytes = try await TrustDirectory.run { try DurableFile.read(path, limit: 1 << 12) }
        let expiry = bytes.flatMap { try? JSONParser.parse($0) }?["at"]?.string.flatMap { try? Expiry(parsing: $0) }
        return expiry?.date
    }

    /// Notes that a server has said so.
    package func confirm(_ gun: GUN, at now: Date) async throws {
        let path = self.notePath(of: gun, in: "confirmed")
        let note = CanonicalJSON.encode(["at": .string(Expiry(now).text)])
        try await TrustDirectory.run {
            try DurableFile.makeDirectory(DurableFile.directory(of: path))
            try DurableFile.replace(path, with: note, permissions: 0o600, isSynced: false)
        }
    }

    private func pinNotePath(of gun: GUN) -> String { self.notePath(of: gun, in: "followed") }

    private func notePath(of gun: GUN, in folder: String) -> String {
        "\(self.directory)/pins/\(folder)/\(Hexadecimal.encode(Hashes(of: Array(gun.text.utf8)).sha256 ?? [])).json"
    }

    /// The collections of which a root is kept.
    package func collections() async throws -> [GUN] {
        let base = "\(self.directory)/tuf"
        return try await TrustDirectory.run {
            var found: [GUN] = []
            var queue = [""]
            var next = 0
            while next < queue.count, next < 100_000 {
                let prefix = queue[next]
                next += 1
                guard prefix.utf8.count < 1024 else { continue }
                for name in try TrustDirectory.list("\(base)/\(prefix)") where name != "changelist" {
                    let path = prefix.isEmpty ? name : "\(prefix)/\(name)"
                    if name == "metadata", FileManager.default.fileExists(atPath: "\(base)/\(path)/root.json") {
                        if let gun = try? GUN(prefix) { found.append(gun) }
                    }
                    if !name.hasSuffix(".json") { queue.append(path) }
                }
            }
            return found.sorted { $0.text < $1.text }
        }
    }

    private func folder(of gun: GUN) -> MetadataFolder {
        MetadataFolder("\(self.directory(of: gun))/metadata") { "\($0.text).json" }
    }

    private static func check(_ roles: [RoleName], _ gun: GUN) throws {
        try self.check(gun)
        for role in roles where (try? RoleName(notary: role.text)) == nil {
            throw TrustClientError(.invalid, "\(role.text.prefix(300)) is not a role that has a file")
        }
    }

    /// Refuses names whose files would be those of another collection.
    ///
    /// Delegated roles are directories below `metadata/targets`: a collection of such a name would share its files with roles
    /// of the one above, whose publisher could then plant a root. File systems may ignore case.
    private static func check(_ gun: GUN) throws {
        let components = gun.text.split(separator: "/").map { $0.lowercased() }
        guard !zip(components, components.dropFirst()).contains(where: { $0 == "metadata" && $1 == "targets" }),
            !gun.text.contains("\\")
        else {
            throw TrustClientError(
                .invalid,
                "\(gun) cannot be kept in a trust directory: metadata/targets holds another collection's roles"
            )
        }
    }
}
