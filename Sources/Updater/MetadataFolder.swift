// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import TUF

/// Metadata of the roles of one collection or repository as files of one directory, for any number of processes at once.
///
/// Each file is replaced as a whole and is durable before a write returns; several are written under one lock. A file is never
/// replaced by an older version of it that is good itself: who writes says what is good.
package struct MetadataFolder: Sendable {
    /// One role's metadata.
    package struct File: Sendable {
        /// The role.
        package let role: RoleName
        /// What the file holds, byte for byte.
        package let bytes: [UInt8]

        /// Makes a file.
        package init(role: RoleName, bytes: [UInt8]) {
            self.role = role
            self.bytes = bytes
        }
    }

    /// The directory. It is made when it is first written to.
    package let directory: String
    private let name: @Sendable (RoleName) -> String?

    /// - Parameters:
    ///   - directory: where the files are.
    ///   - name: the name of a role's file below it, which may have a directory in it; nil for a role that is not kept.
    package init(_ directory: String, name: @escaping @Sendable (RoleName) -> String?) {
        self.directory = directory
        self.name = name
    }

    /// Where the file of a role is; nil for a role that is not kept.
    package func path(of role: RoleName) -> String? {
        self.name(role).map { "\(self.directory)/\($0)" }
    }

    /// The bytes kept for a role; nil when there are none.
    /// - Throws: `FileSystemError`.
    package func read(_ role: RoleName) async throws -> [UInt8]? {
        guard let path = self.path(of: role) else { return nil }
        return try await BlockingWork.run { try DurableFile.read(path, limit: WireFormat.metadataLimit) }
    }

    /// The bytes kept for a role; nil when there are none, or something that cannot be metadata and is to be replaced.
    /// - Throws: `FileSystemError` for what may be good and cannot be read just now.
    package func readUsable(_ role: RoleName) async throws -> [UInt8]? {
        guard let path = self.path(of: role) else { return nil }
        return try await BlockingWork.run { try Self.readUsable(path) }
    }

    private static func readUsable(_ path: String) throws -> [UInt8]? {
        do {
            return try DurableFile.read(path, limit: WireFormat.metadataLimit)
        } catch let error as FileSystemError {
            switch error.reason {
            case .tooLarge, .notRegular: return nil
            case .system: throw error
            }
        }
    }

    /// Keeps metadata, in the order given.
    /// - Parameters:
    ///   - files: the metadata.
    ///   - forgotten: roles whose metadata is removed before anything is written, if anything is, under the same lock.
    ///   - isNewer: whether another process has come further meanwhile: the file that is present, if one is, is good and newer
    ///     than the one offered. Nothing is written then.
    /// - Throws: `FileSystemError`.
    package func write(
        _ files: [File],
        removing forgotten: [RoleName] = [],
        unless isNewer: @escaping @Sendable (_ role: RoleName, _ present: [UInt8]?, _ offered: [UInt8]) -> Bool
    ) async throws {
        try await BlockingWork.run {
            try DurableFile.makeDirectory(self.directory)
            try DurableFile.withLockedDirectory(self.directory, isRequired: false) {
                var forgotten = forgotten
                for file in files {
                    guard let path = self.path(of: file.role) else { continue }
                    let present = try Self.readUsable(path)
                    guard present != file.bytes, !isNewer(file.role, present, file.bytes) else { continue }
                    for path in forgotten.compactMap({ self.path(of: $0) }) { try DurableFile.remove(path) }
                    forgotten = []
                    let directory = DurableFile.directory(of: path)
                    if directory != self.directory { try DurableFile.makeDirectory(directory) }
                    try DurableFile.replace(path, with: file.bytes)
                }
            }
        }
    }

    /// Forgets metadata of roles.
    /// - Parameters:
    ///   - roles: the roles.
    ///   - more: removes what else goes with them, under the same lock.
    /// - Throws: `FileSystemError`; what `more` throws.
    package func remove(
        _ roles: [RoleName],
        and more: @escaping @Sendable () throws -> Void = {}
    ) async throws {
        try await BlockingWork.run {
            guard DurableFile.isDirectory(self.directory) else { return }
            try DurableFile.withLockedDirectory(self.directory, isRequired: false) {
                for path in roles.compactMap({ self.path(of: $0) }) { try DurableFile.remove(path) }
                try more()
            }
        }
    }
}
