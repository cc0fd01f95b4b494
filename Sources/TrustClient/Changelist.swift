// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import FoundationEssentials
package import NotaryAPI

/// The changes to one collection that wait for the next publish: one file each below `tuf/<GUN>/changelist`, applied in the
/// order of their names. `notary` stages and publishes the same files.
package struct Changelist: Sendable {
    /// A change and the file that holds it.
    package struct Entry: Sendable, Hashable {
        /// The name of the file, which is its place in the order.
        package let name: String
        /// The change.
        package let change: Change
    }

    static let suffix = ".change"
    private static let fileLimit = 16 << 20
    private static let countLimit = 1 << 20

    private let parent: String
    private var directory: String { "\(self.parent)/changelist" }

    /// The changelist of a collection in a trust directory.
    package init(of gun: GUN, in cache: MetadataCache) {
        self.parent = cache.directory(of: gun)
    }

    /// Stages a change behind those that are there.
    package func append(_ change: Change, at now: Date) async throws {
        try await self.append([change], at: now)
    }

    /// Stages changes in order: all of them or none.
    /// - Returns: the names of their files.
    /// - Throws: ``TrustClientError`` with code `storage`.
    @discardableResult
    package func append(_ changes: [Change], at now: Date) async throws -> [String] {
        let parent = self.parent
        let directory = self.directory
        return try await TrustDirectory.run {
            try DurableFile.makeDirectory(directory)
            return try TrustDirectory.locked(directory) {
                let seconds = max(0, min(now.timeIntervalSince1970, 9_000_000_000))
                var nanoseconds = UInt64(seconds * 1e9)
                // Two changes of one moment, or a clock that was set back, must not change their order.
                if let last = try Self.names(in: directory).last, let latest = UInt64(last.prefix(20)),
                    latest >= nanoseconds, latest < UInt64.max / 2
                {
                    nanoseconds = latest + 1
                }
                var written: [String] = []
                for change in changes {
                    let digits = String(nanoseconds)
                    let padding = String(repeating: "0", count: max(0, 20 - digits.utf8.count))
                    let name = "\(padding)\(digits)_\(UUID().uuidString.lowercased())\(Self.suffix)"
                    // Go's reader takes every file in the directory for a change: the temporary one is kept out of it.
                    do {
                        try DurableFile.replace("\(directory)/\(name)", with: change.bytes, staging: parent)
                    } catch {
                        for name in written { _ = try? DurableFile.remove("\(directory)/\(name)") }
                        throw error
                    }
                    written.append(name)
                    nanoseconds += 1
                }
                return written
            }
        }
    }

    /// The staged changes in order.
    /// - Throws: ``TrustClientError`` with code `invalid` that names the file which is not a change.
    package func entries() async throws -> [Entry] {
        let directory = self.directory
        return try await TrustDirectory.run {
            let names = try Self.names(in: directory)
            guard names.count <= Self.countLimit else {
                throw TrustClientError(.invalid, "\(directory) has more than \(Self.countLimit) changes: reset it")
            }
            return try names.compactMap { name in
                let path = "\(directory)/\(name)"
                guard let bytes = try DurableFile.read(path, limit: Self.fileLimit) else { return nil }
                do {
                    return Entry(name: name, change: try Change(bytes))
                } catch let error as TrustClientError {
                    throw TrustClientError(.invalid, "\(path): \(error.message); remove it, or reset all changes")
                }
            }
        }
    }

    /// Removes changes, by the names of their files.
    package func remove(_ names: [String]) async throws {
        let directory = self.directory
        try await TrustDirectory.run {
            for name in names where !name.contains("/") && name.hasSuffix(Self.suffix) {
                try DurableFile.remove("\(directory)/\(name)")
            }
        }
    }

    /// Removes the changes at these places of ``entries()``.
    /// - Returns: how many were removed.
    /// - Throws: ``TrustClientError`` with code `invalid` for a place where there is none; then none is removed.
    @discardableResult
    package func remove(at places: [Int]) async throws -> Int {
        let entries = try await self.names()
        let names = try Set(places).map { place in
            guard entries.indices.contains(place) else {
                let last = entries.isEmpty ? "nothing is staged" : "the last one is \(entries.count - 1)"
                throw TrustClientError(.invalid, "there is no change number \(place): \(last)")
            }
            return entries[place]
        }
        try await self.remove(names)
        return names.count
    }

    /// Removes all changes, those that cannot be read included.
    /// - Returns: how many there were.
    @discardableResult
    package func removeAll() async throws -> Int {
        let names = try await self.names()
        try await self.remove(names)
        return names.count
    }

    private func names() async throws -> [String] {
        let directory = self.directory
        return try await TrustDirectory.run { try Self.names(in: directory) }
    }

    private static func names(in directory: String) throws -> [String] {
        try TrustDirectory.list(directory).filter { $0.hasSuffix(self.suffix) }.sorted()
    }
}
