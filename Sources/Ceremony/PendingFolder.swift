// SPDX-License-Identifier: Apache-2.0

package import TUF

/// The folder of metadata that waits for signatures: one file for each role, which may be copied, signed elsewhere and merged.
///
/// `index.json` says which files belong together, and which staged changes they have taken up. It is written last and removed
/// first: without it there is nothing that waits, whatever a crash has left. All of it blocks.
package struct PendingFolder: Sendable {
    /// The name of the folder below a repository's or a collection's directory.
    package static let name = "pending"
    private static let indexLimit = 64 << 20
    private static let fileLimit = 1 << 16

    private let files: any CeremonyFiles
    private let format: WireFormat

    /// - Parameters:
    ///   - files: those of the directory that the folder is in.
    ///   - format: how the metadata is spelled.
    package init(_ files: any CeremonyFiles, format: WireFormat) {
        self.files = files
        self.format = format
    }

    private static let index = "\(Self.name)/index.json"

    /// Where metadata lies, from the directory that the folder is in.
    package static func path(of role: RoleName, version: Int64) -> String {
        "\(self.name)/\(VersionedName(role, version: version).text)"
    }

    private func list(_ member: String) throws -> [String] {
        guard let bytes = try self.files.read(Self.index, limit: Self.indexLimit) else { return [] }
        guard let names = (try? JSONParser.parse(bytes))?[member]?.array else {
            throw CeremonyError(.malformed, "\(Self.index) cannot be read: reset, or restore it from a backup")
        }
        return names.compactMap(\.string)
    }

    /// What waits for signatures.
    /// - Throws: ``CeremonyError`` with code `malformed`; what the files throw.
    package func names() throws -> [VersionedName] {
        let names = try self.list("files").compactMap { VersionedName($0) }
        guard names.count <= Self.fileLimit, Set(names.map(\.role)).count == names.count else {
            throw CeremonyError(.malformed, "\(Self.index) names a role twice: reset, or restore it from a backup")
        }
        return names
    }

    /// The names of staged changes that are in metadata that waits.
    /// - Throws: as ``names()``.
    package func changes() throws -> [String] { try self.list("changes") }

    /// The metadata that waits, by role.
    /// - Throws: ``CeremonyError`` with code `malformed`; what the files throw.
    package func metadata() throws -> [RoleName: PendingMetadata] {
        var pending: [RoleName: PendingMetadata] = [:]
        for name in try self.names() {
            let path = "\(Self.name)/\(name.text)"
            guard let bytes = try self.files.read(path, limit: WireFormat.metadataLimit) else {
                throw CeremonyError(.malformed, "\(path) is gone, with the signatures on it: put it back, or reset")
            }
            let metadata: PendingMetadata
            do {
                metadata = try PendingMetadata(bytes, format: self.format)
            } catch let error as TUFError {
                throw CeremonyError(.malformed, "\(path): \(error)")
            }
            guard name.describes(metadata) else {
                throw CeremonyError(.malformed, "\(path) is not what its name says: remove it, or reset")
            }
            pending[name.role] = metadata
        }
        return pending
    }

    /// Writes what waits, in place of what has.
    /// - Parameter changes: the names of the staged changes that it has taken up.
    /// - Throws: what the files throw.
    package func write(_ pending: [(role: RoleName, metadata: PendingMetadata)], changes: [String]) throws {
        for (role, metadata) in pending { try self.write(metadata, role) }
        func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
        let names = pending.map { VersionedName($0.role, version: $0.metadata.version ?? 0).text }
        try self.files.replace(
            Self.index,
            with: CanonicalJSON.encodeForWire(["changes": list(changes), "files": list(names)])
        )
    }

    /// Writes a role's metadata, which may have more signatures now.
    /// - Throws: what the files throw.
    package func write(_ metadata: PendingMetadata, _ role: RoleName) throws {
        let path = Self.path(of: role, version: metadata.version ?? 0)
        let bytes = metadata.bytes
        guard try self.files.read(path, limit: WireFormat.metadataLimit) != bytes else { return }
        try self.files.replace(path, with: bytes)
    }

    /// Writes a ceremony's metadata with what somebody else has signed on the same file meanwhile.
    /// - Throws: ``CeremonyError``; what the files throw.
    package func keep(_ ceremony: inout SigningCeremony) throws {
        let path = Self.path(of: ceremony.role, version: ceremony.metadata.version ?? 0)
        if let bytes = try self.files.read(path, limit: WireFormat.metadataLimit),
            let present = try? PendingMetadata(bytes, format: self.format)
        {
            try ceremony.absorb(present)
        }
        try self.write(ceremony.metadata, ceremony.role)
    }

    /// Drops all that waits.
    /// - Throws: what the files throw.
    package func removeAll() throws {
        try self.files.remove([Self.index])
        let names = try self.files.list(Self.name).filter { VersionedName($0) != nil }
        if !names.isEmpty { try self.files.remove(names.map { "\(Self.name)/\($0)" }) }
    }
}

extension VersionedName {
    /// Whether metadata says that it is of this role's kind and version.
    package func describes(_ metadata: PendingMetadata) -> Bool {
        metadata.version == self.version && metadata.type == (self.role.listsTargets ? "targets" : self.role.text)
    }
}
