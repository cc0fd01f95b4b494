// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF

/// Brings keys of the layouts before Notary 0.4 to where they belong: `root_keys/<id>_root.key` and
/// `tuf_keys/<GUN>/<id>_<role>.key` become `<id>.key`, with role and collection in its headers. The keys stay encrypted as
/// they are, and an old file goes only when the new one is durable. Everything here blocks.
struct KeyStoreMigration {
    private static let maximumFiles = 100_000

    let directory: String

    func run() throws {
        for folder in ["root_keys", "tuf_keys"] {
            let root = "\(self.directory)/\(folder)"
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: root, isDirectory: &isDirectory), isDirectory.boolValue else {
                continue
            }
            var files = 0
            var folders = [root]
            for case let path as String in FileManager.default.enumerator(atPath: root) ?? .init() {
                files += 1
                guard files <= Self.maximumFiles else {
                    throw KeyStoreError(.storage, "\(root) has too many files to migrate")
                }
                if FileManager.default.fileExists(atPath: "\(root)/\(path)", isDirectory: &isDirectory),
                    isDirectory.boolValue
                {
                    folders.append("\(root)/\(path)")
                } else {
                    try self.move("\(root)/\(path)", named: path)
                }
            }
            // Only those that are empty now: what is no key of ours stays where it is.
            for folder in folders.sorted(by: { $0.utf8.count > $1.utf8.count }) { rmdir(folder) }
        }
    }

    private func move(_ path: String, named name: String) throws {
        guard let (id, role, gun) = Self.parse(name), let bytes = try KeyFile.read(path, limit: 64 << 10),
            var file = try? PrivateKeyPEM(String(decoding: bytes, as: UTF8.self))
        else { return }
        file.attributes.role = role
        file.attributes.gun = KeyAttributes.belongsToCollection(role) ? gun : nil
        guard let text = try? file.serialized() else { return }
        let target = KeyStore.path(id, in: self.directory)
        // A key that is there already is newer: its passphrase may have been changed since.
        let existing = try KeyFile.read(target, limit: 64 << 10).flatMap {
            try? PrivateKeyPEM(String(decoding: $0, as: UTF8.self))
        }
        if existing == nil { try KeyFile.replace(target, with: Array(text.utf8)) }
        try KeyFile.remove(path)
    }

    /// `<GUN>/<id>_<role>.key`; role and collection may both have slashes.
    static func parse(_ name: String) -> (id: KeyID, role: RoleName, gun: String?)? {
        guard name.hasSuffix(".key") else { return nil }
        let parts = name.dropLast(4).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        for (index, part) in parts.enumerated() {
            guard part.utf8.count > 65, let underscore = part.firstIndex(of: "_"),
                let id = KeyStore.id(fileName: String(part[..<underscore]))
            else { continue }
            let role = ([String(part[part.index(after: underscore)...])] + parts[(index + 1)...]).joined(separator: "/")
            let gun = parts[..<index].joined(separator: "/")
            return (id, RoleName(role), gun.isEmpty ? nil : gun)
        }
        return nil
    }
}
