// SPDX-License-Identifier: Apache-2.0

import Foundation
import Settings

/// What one backup holds: `backup.json`, written last.
struct BackupManifest: Codable, Sendable {
    /// The name of its file.
    static let name = "backup.json"
    /// The layout that this version writes, and reads.
    static let currentFormat = 1
    /// The most bytes of the file.
    static let limit = 16 << 20

    struct File: Codable, Sendable, Hashable {
        /// Relative to the backup, as it was to the data directory.
        let path: String
        let size: Int64
        let sha256: String
        let mode: UInt16
    }

    struct Blobs: Codable, Sendable, Hashable {
        let count: Int
        let bytes: Int64
    }

    let format: Int
    /// RFC 3339, UTC.
    let created: String
    /// The version that made it.
    let hallmark: String
    let files: [File]
    /// The blobs that its registry needs; nil when they were not asked for.
    let blobs: Blobs?
    /// Whether the signer's passphrase is in it.
    let passphrase: Bool

    func contains(_ path: String) -> Bool { self.files.contains { $0.path == path } }
}

/// The files of a data directory, as a backup sees them.
enum BackedUpFiles {
    static let passphrase = "signer/passphrase"
    static let registry = ServiceDatabase.file(of: .registry)
    static let trust = ServiceDatabase.file(of: .server)
    static let signer = ServiceDatabase.file(of: .signer)
    /// The most bytes of a file that is no database.
    static let limit: Int64 = 64 << 20

    /// Databases and other files below a data directory, in the order in which they have to be copied: what others refer to later.
    /// An image is pushed before it is signed, and a key is made before metadata names it.
    static func list(_ directory: String, withPassphrase: Bool) throws -> (databases: [String], others: [String]) {
        var databases: [String] = []
        var others: [String] = []
        guard let names = FileManager.default.enumerator(atPath: directory) else {
            throw CommandError(.failure, "cannot read \(directory)")
        }
        while let name = names.nextObject() as? String {
            if name == "registry" {
                names.skipDescendants()
                continue
            }
            let type = names.fileAttributes?[.type] as? FileAttributeType
            guard type == .typeRegular, !self.isTransient(name) else { continue }
            if name.hasSuffix(".sqlite") {
                databases.append(name)
            } else if withPassphrase || !name.hasPrefix(self.passphrase) {
                others.append(name)
            }
        }
        func place(_ name: String) -> Int { name == self.trust ? 0 : name == self.registry ? 2 : 1 }
        databases.sort { (place($0), $0) < (place($1), $1) }
        return (databases, others.sorted())
    }

    private static func isTransient(_ name: String) -> Bool {
        let last = name.split(separator: "/").last.map(String.init) ?? name
        return last.hasSuffix(".lock") || last == "lock" || last.hasSuffix(".sqlite-wal")
            || last.hasSuffix(".sqlite-shm")
            || last.hasSuffix(".sqlite-journal") || last.hasSuffix(".tmp")
    }

    /// Whether a path out of a manifest stays below the directory that it is put into.
    static func isSafe(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !path.isEmpty && path.utf8.count < 1024 && !path.utf8.contains(0)
            && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." } && path != BackupManifest.name
    }
}

/// The settings of `hallmark serve` that a backup and a restore need.
enum BackupSettings: SettingGroup {
    static let title = "What hallmark serve keeps"
    static let settings = [ServeSettings.data.declaration, SignerSettings.defaultAlias.declaration]
}
