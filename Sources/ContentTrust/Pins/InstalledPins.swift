// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import Foundation
import KeyStore
package import TUF
import TrustClient

/// The pin bundles of a machine or a user: in `pins.d`, and where the settings name more.
///
/// Of each bundle the newest version that was ever seen here is remembered in the trust directory, and no older one is obeyed. All of
/// it blocks, for small files.
package struct InstalledPins: Sendable {
    /// A bundle that counts.
    package struct Entry: Sendable {
        /// Its file.
        package let path: String
        /// What it says.
        package let bundle: PinBundle
        /// Who has signed it.
        package let signers: [KeyID]
    }

    /// Those of one place, and who has to have signed them.
    package struct Source: Sendable {
        /// A directory with files that end in `.json`.
        let directory: String
        /// Further files.
        let files: [String]
        /// PEM files of public keys.
        let keyFiles: [String]
        /// How many of them.
        let threshold: Int
    }

    private let trustDirectory: String

    /// - Parameter trustDirectory: where versions are remembered.
    package init(trustDirectory: String) {
        self.trustDirectory = trustDirectory
    }

    /// The bundles of a place, all of them good: one that is not ends this, since it may be the one that forbids.
    /// - Throws: `TrustClientError` with code `signature`, `expired`, `rollback` or `storage`.
    package func load(_ source: Source, at now: Date) throws -> [Entry] {
        let paths = try Self.paths(source)
        guard !paths.isEmpty else { return [] }
        let signers = try Self.signers(source.keyFiles, threshold: source.threshold, needed: paths[0])
        return try paths.map { path in
            let file = try Self.read(path)
            let ids = try file.verify(by: signers, path: path)
            try file.bundle.requireCurrent(at: now, path: path)
            try self.remember(file, by: signers, path: path)
            return Entry(path: path, bundle: file.bundle, signers: ids)
        }
    }

    /// The files of a place.
    /// - Throws: `TrustClientError` with code `storage`.
    static func paths(_ source: Source) throws -> [String] {
        do {
            // A link that leads nowhere is there, and may be in the place of what forbids: listing it says why.
            guard try FileStatus(path: source.directory) != nil else { return source.files }
        } catch let error as FileSystemError where error.number == ENOTDIR {
            return source.files
        } catch {
            throw TrustClientError(.storage, "\(error)")
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: source.directory)
        } catch {
            throw TrustClientError(.storage, "\(source.directory) cannot be listed: \(error)")
        }
        return names.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted().map { "\(source.directory)/\($0)" }
            + source.files
    }

    /// Reads a bundle's file.
    package static func read(_ path: String) throws -> PinBundleFile {
        let bytes: [UInt8]?
        do {
            bytes = try DurableFile.read(path, limit: PinBundle.sizeLimit)
        } catch let error as FileSystemError {
            throw TrustClientError(.storage, error.description)
        }
        guard let bytes else { throw TrustClientError(.storage, "there is no file \(path) with a pin bundle") }
        return try PinBundleFile(bytes, path: path)
    }

    /// Reads the keys that sign bundles.
    package static func signers(_ files: [String], threshold: Int, needed path: String) throws -> PinSigners {
        guard !files.isEmpty else {
            throw TrustClientError(
                .signature,
                "\(path): no key is named that pin bundles have to be signed with: name it in pin_bundles of the client.yaml "
                    + "beside it, or with --key FILE"
            )
        }
        let keys = try files.map { file in
            do {
                guard let bytes = try DurableFile.read(file, limit: PublicKeyFile.limit) else {
                    throw TrustClientError(.storage, "there is no file \(file) with a key of pin bundles")
                }
                return try PublicKeyFile.key(bytes)
            } catch let error as TrustClientError {
                throw error
            } catch {
                throw TrustClientError(.storage, "\(file): \(error)")
            }
        }
        return try PinSigners(keys, threshold: threshold)
    }

    // MARK: Versions

    /// Refuses a version older than one that was seen of the same signers, and remembers a newer one.
    /// - Throws: `TrustClientError` with code `rollback` or `storage`.
    package func remember(_ file: PinBundleFile, by signers: PinSigners, path: String) throws {
        let bundle = file.bundle
        // Of one name there may be several, of different people: the versions of one say nothing of another's.
        let ids = signers.keys.keys.map(\.id.text).sorted().joined(separator: ",")
        let whose = Hexadecimal.encode(Hashes(of: Array(ids.utf8)).sha256 ?? []).prefix(16)
        let note = "\(self.trustDirectory)/pins/seen/\(bundle.name)-\(whose).json"
        let digest = Hexadecimal.encode(Hashes(of: CanonicalJSON.encode(bundle.content)).sha256 ?? [])
        do {
            if let bytes = try DurableFile.read(note, limit: 1 << 12) {
                guard let seen = try? JSONParser.parse(bytes), let version = seen["version"]?.integer,
                    let sha256 = seen["sha256"]?.string
                else {
                    throw TrustClientError(
                        .storage,
                        "\(note) is damaged: remove it if the bundle in \(path) is the newest"
                    )
                }
                guard bundle.version >= version else {
                    throw TrustClientError(
                        .rollback,
                        "\(path): version \(bundle.version) of the pin bundle \(bundle.name) is older than version \(version), "
                            + "which was seen here before (\(note))"
                    )
                }
                guard bundle.version > version || sha256 == digest else {
                    throw TrustClientError(
                        .rollback,
                        "\(path): the pin bundle \(bundle.name) says something else than version \(version) of it that was "
                            + "seen here before (\(note)); who changes it has to raise its version"
                    )
                }
                if bundle.version == version { return }
            }
            let content: JSONValue = ["version": .integer(bundle.version), "sha256": .string(digest)]
            try DurableFile.makeDirectory(DurableFile.directory(of: note))
            try DurableFile.replace(note, with: CanonicalJSON.encode(content), permissions: 0o600)
        } catch let error as FileSystemError {
            throw TrustClientError(.storage, error.description)
        }
    }

    /// Refuses to put a bundle in the place of a newer one. One that cannot be read is replaced.
    /// - Throws: `TrustClientError` with code `rollback`.
    package static func requireNewer(_ bundle: PinBundle, than path: String) throws {
        guard let present = try? Self.read(path).bundle, present.version > bundle.version else { return }
        throw TrustClientError(
            .rollback,
            "\(path) is version \(present.version) of the pin bundle \(present.name): version \(bundle.version) is older. Remove "
                + "the file first if this is meant"
        )
    }
}
