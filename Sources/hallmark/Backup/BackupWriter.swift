// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import Foundation
import OCI
import TUF

/// Makes one backup of a data directory, which may be in use.
///
///     DEST/20261121T194012Z/backup.json, trust.sqlite, …     one backup, there whole or not at all
///     DEST/blobs/sha256/ab/ab…                               what the backups' registries need, each once
struct BackupWriter: Sendable {
    /// The folder of blobs beside the backups.
    static let blobs = "blobs"
    /// How often the registry is looked at again when blobs went away that its database still listed.
    private static let attempts = 3

    let data: String
    let destination: String
    let withPassphrase: Bool
    let withBlobs: Bool
    let links: Bool
    let now: Date
    let progress: StepProgress

    /// - Returns: the backup's directory, and what is in it.
    func run() async throws -> (path: String, manifest: BackupManifest) {
        let found = try await BlockingWork.run {
            try BackedUpFiles.list(self.data, withPassphrase: self.withPassphrase)
        }
        guard !found.databases.isEmpty else {
            throw CommandError(
                .failure,
                "\(self.data) holds no database: --data names the directory of hallmark serve. What is on PostgreSQL is backed up "
                    + "with pg_dump"
            )
        }
        let lock = try await BlockingWork.run {
            try DurableFile.makeDirectory(self.destination)
            return try BackupLock(self.destination)
        }
        defer { lock.release() }
        let staging = self.destination + "/incomplete"
        try await BlockingWork.run {
            // What a backup has left that was cut off.
            if DurableFile.isDirectory(staging) { try FileManager.default.removeItem(atPath: staging) }
            try DurableFile.makeDirectory(staging)
        }
        do {
            return try await self.write(found.databases, found.others, in: staging)
        } catch {
            try? FileManager.default.removeItem(atPath: staging)
            throw error
        }
    }

    private func write(
        _ databases: [String],
        _ others: [String],
        in staging: String
    ) async throws -> (path: String, manifest: BackupManifest) {
        var blobs: BackupManifest.Blobs?
        for name in databases {
            try Task.checkCancellation()
            self.progress.show("copying \(name)", always: true)
            try await self.copy(name, to: staging)
            if name == BackedUpFiles.registry, self.withBlobs { blobs = try await self.copyBlobs(staging) }
        }
        let manifest = try await BlockingWork.run { [blobs] in
            var files = try databases.map { try self.described($0, in: staging) }
            for name in others {
                if let file = try self.copyFile(name, to: staging) { files.append(file) }
            }
            let manifest = BackupManifest(
                format: BackupManifest.currentFormat,
                created: Expiry(self.now).text,
                hallmark: HallmarkVersion.current,
                files: files.sorted { $0.path < $1.path },
                blobs: blobs,
                passphrase: files.contains { $0.path == BackedUpFiles.passphrase }
            )
            try DurableFile.replace(
                "\(staging)/\(BackupManifest.name)",
                with: Array((JSONOutput.text(manifest) + "\n").utf8),
                permissions: 0o600
            )
            try FileCopy.syncTree(staging)
            return manifest
        }
        let path = try await BlockingWork.run { try self.publish(staging) }
        return (path, manifest)
    }

    /// Gives the backup its name: the time, to the second.
    private func publish(_ staging: String) throws -> String {
        let name = Expiry(self.now).text.filter { $0 != "-" && $0 != ":" }
        for number in 1...1000 {
            let path = "\(self.destination)/\(name)" + (number == 1 ? "" : "-\(number)")
            if FileManager.default.fileExists(atPath: path) { continue }
            try DurableFile.move(staging, to: path)
            return path
        }
        throw CommandError(.failure, "\(self.destination)/\(name) is there already")
    }

    private func copy(_ name: String, to staging: String) async throws {
        let path = "\(staging)/\(name)"
        try await BlockingWork.run { try DurableFile.makeDirectory(DurableFile.directory(of: path)) }
        try await SQLiteDatabase.copy("\(self.data)/\(name)", to: path)
    }

    private func described(_ name: String, in directory: String) throws -> BackupManifest.File {
        let (size, digest) = try FileCopy.hash("\(directory)/\(name)")
        return BackupManifest.File(path: name, size: size, sha256: digest.encoded, mode: 0o600)
    }

    /// - Returns: nil for a file that has gone meanwhile.
    private func copyFile(_ name: String, to staging: String) throws -> BackupManifest.File? {
        let source = "\(self.data)/\(name)"
        guard let mode = DurableFile.mode(of: source), mode.isRegular, let size = try FileCopy.size(source) else {
            return nil
        }
        guard size <= BackedUpFiles.limit else {
            throw CommandError(
                .failure,
                "\(source) is larger than anything a data directory holds but databases and blobs"
            )
        }
        let target = "\(staging)/\(name)"
        try DurableFile.makeDirectory(DurableFile.directory(of: target))
        let copied = try FileCopy.copy(source, to: target, mode: mode.permissions & 0o700 | 0o600)
        return BackupManifest.File(
            path: name,
            size: copied.size,
            sha256: copied.digest.encoded,
            mode: mode.permissions
        )
    }

    // MARK: Blobs

    /// Copies what the registry's database, as it was copied, lists. Where something of it was deleted since, both are taken again.
    private func copyBlobs(_ staging: String) async throws -> BackupManifest.Blobs {
        let (from, to) = (
            BlobFolder(directory: self.data + "/registry/blobs"),
            BlobFolder(directory: "\(self.destination)/\(Self.blobs)")
        )
        var missing: [BlobFolder.Entry] = []
        for attempt in 1...Self.attempts {
            let entries = try await BlobFolder.entries("\(staging)/\(BackedUpFiles.registry)")
            missing = try await self.copy(entries, from, to)
            guard missing.contains(where: \.isNeeded) else {
                let kept = Set(missing)
                let there = entries.filter { !kept.contains($0) }
                return BackupManifest.Blobs(count: there.count, bytes: there.reduce(0) { $0 + $1.size })
            }
            guard attempt < Self.attempts else { break }
            try await BlockingWork.run {
                _ = try DurableFile.remove("\(staging)/\(BackedUpFiles.registry)")
            }
            try await self.copy(BackedUpFiles.registry, to: staging)
        }
        let names = missing.filter(\.isNeeded).prefix(4).map { "\($0.digest)" }.joined(separator: ", ")
        throw CommandError(.failure, "blobs are missing in \(from.directory) that manifests name: \(names)")
    }

    private func copy(
        _ entries: [BlobFolder.Entry],
        _ from: BlobFolder,
        _ to: BlobFolder
    ) async throws -> [BlobFolder.Entry] {
        var missing: [BlobFolder.Entry] = []
        for (index, entry) in entries.enumerated() {
            try Task.checkCancellation()
            self.progress.show("blobs: \(index) of \(entries.count)")
            let links = self.links
            if try await !BlockingWork.run({ try to.take(entry, from: from, links: links) }) { missing.append(entry) }
        }
        try await BlockingWork.run {
            if DurableFile.isDirectory(to.directory) { try FileCopy.syncTree(to.directory) }
        }
        return missing
    }
}

/// Keeps a second backup from the same destination. The kernel lets go of it when the process ends.
final class BackupLock: Sendable {
    private let descriptor: CInt

    init(_ directory: String) throws {
        let path = directory + "/backup.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileSystemError(operation: "open", path: path, number: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            _ = close(descriptor)
            throw CommandError(.failure, "another hallmark backup is writing to \(directory)")
        }
        self.descriptor = descriptor
    }

    func release() { _ = flock(self.descriptor, LOCK_UN) }

    deinit { _ = close(self.descriptor) }
}
