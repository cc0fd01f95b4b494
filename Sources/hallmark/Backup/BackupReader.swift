// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import Foundation
import OCI
import TrustServer

/// Puts a backup back: into a directory that is not there yet or is empty, all of it or nothing.
struct BackupReader: Sendable {
    let backup: String
    let manifest: BackupManifest

    /// Finds a backup: the directory itself, or the newest of those below it.
    static func find(_ path: String) async throws -> BackupReader {
        try await BlockingWork.run {
            if let manifest = try Self.manifest(path) { return BackupReader(backup: path, manifest: manifest) }
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            var found: [BackupReader] = []
            for name in names where name != "incomplete" {
                let directory = "\(path)/\(name)"
                if let manifest = try Self.manifest(directory) {
                    found.append(BackupReader(backup: directory, manifest: manifest))
                }
            }
            // Those of one second are numbered.
            guard let newest = found.max(by: { ($0.manifest.created, $0.backup) < ($1.manifest.created, $1.backup) })
            else {
                throw CommandError(.failure, "\(path) holds no backup of hallmark: there is no \(BackupManifest.name)")
            }
            return newest
        }
    }

    private static func manifest(_ directory: String) throws -> BackupManifest? {
        let path = "\(directory)/\(BackupManifest.name)"
        guard let bytes = try DurableFile.read(path, limit: BackupManifest.limit) else { return nil }
        let manifest: BackupManifest
        do {
            manifest = try JSONDecoder().decode(BackupManifest.self, from: Data(bytes))
        } catch {
            throw CommandError(.failure, "\(path) is damaged: \(error)")
        }
        guard manifest.format == BackupManifest.currentFormat else {
            throw CommandError(
                .failure,
                "\(path) has format \(manifest.format); this version reads \(BackupManifest.currentFormat)"
            )
        }
        for file in manifest.files where !BackedUpFiles.isSafe(file.path) {
            throw CommandError(.failure, "\(path) names a file outside of the backup: \(file.path.prefix(200))")
        }
        return manifest
    }

    private var blobs: BlobFolder {
        BlobFolder(directory: DurableFile.directory(of: self.backup) + "/\(BackupWriter.blobs)")
    }

    /// Puts it back.
    /// - Parameters:
    ///   - passphraseFile: the signer's passphrase, where the backup does not hold it.
    ///   - finish: what is to be done before the directory gets its name.
    func restore(
        to data: String,
        passphraseFile: String?,
        links: Bool,
        progress: StepProgress,
        finish: (_ staging: String) async throws -> Void
    ) async throws {
        try await BlockingWork.run { try Self.requireEmpty(data) }
        let staging = data + ".restoring"
        try await BlockingWork.run {
            guard !FileManager.default.fileExists(atPath: staging) else {
                throw CommandError(.failure, "\(staging) is there, of a restore that was cut off: remove it")
            }
            try DurableFile.makeDirectory(staging)
        }
        do {
            try await self.copyFiles(to: staging, progress)
            if self.manifest.blobs != nil { try await self.copyBlobs(to: staging, links, progress) }
            if let passphraseFile { try await Self.place(passphraseFile, in: staging) }
            try await finish(staging)
            try await BlockingWork.run {
                try FileCopy.syncTree(staging)
                try Self.requireEmpty(data)
                rmdir(data)
                try DurableFile.move(staging, to: data)
            }
        } catch {
            try? FileManager.default.removeItem(atPath: staging)
            throw error
        }
    }

    private static func requireEmpty(_ data: String) throws {
        guard FileManager.default.fileExists(atPath: data) else {
            return try DurableFile.makeDirectory(DurableFile.directory(of: data))
        }
        let names = try? FileManager.default.contentsOfDirectory(atPath: data)
        guard let names, names.isEmpty else {
            throw CommandError(
                .failure,
                "\(data) is not an empty directory: a restore never writes over what is there. Name another with --data"
            )
        }
    }

    private func copyFiles(to staging: String, _ progress: StepProgress) async throws {
        for file in self.manifest.files {
            try Task.checkCancellation()
            progress.show("restoring \(file.path)", always: true)
            try await BlockingWork.run {
                let target = "\(staging)/\(file.path)"
                try DurableFile.makeDirectory(DurableFile.directory(of: target))
                let copied: (size: Int64, digest: Digest)
                do {
                    copied = try FileCopy.copy("\(self.backup)/\(file.path)", to: target, mode: file.mode & 0o755)
                } catch let error as FileSystemError where error.number == ENOENT {
                    throw CommandError(.failure, "\(self.backup)/\(file.path) is missing in the backup")
                }
                guard copied.size == file.size, copied.digest.encoded == file.sha256 else {
                    throw CommandError(
                        .failure,
                        "\(self.backup)/\(file.path) is damaged: it has \(copied.size) bytes with the SHA-256 "
                            + "\(copied.digest.encoded), not \(file.size) with \(file.sha256)"
                    )
                }
            }
        }
    }

    private func copyBlobs(to staging: String, _ links: Bool, _ progress: StepProgress) async throws {
        let database = "\(staging)/\(BackedUpFiles.registry)"
        let entries = try await BlobFolder.entries(database)
        let (from, to) = (self.blobs, BlobFolder(directory: staging + "/registry/blobs"))
        try await BlockingWork.run { try to.makeDirectories() }
        for (index, entry) in entries.enumerated() {
            try Task.checkCancellation()
            progress.show("restoring blobs: \(index) of \(entries.count)")
            try await BlockingWork.run {
                if links, try FileCopy.size(from.path(of: entry)) != nil,
                    try FileCopy.hash(from.path(of: entry), entry.digest.algorithm).digest != entry.digest
                {
                    throw CommandError(.failure, "\(from.path(of: entry)) is damaged")
                }
                guard try to.take(entry, from: from, links: links) || !entry.isNeeded else {
                    throw CommandError(.failure, "the blob \(entry.digest) is missing in \(from.directory)")
                }
            }
        }
    }

    private static func place(_ passphraseFile: String, in staging: String) async throws {
        let target = "\(staging)/\(BackedUpFiles.passphrase)"
        try await BlockingWork.run {
            try DurableFile.makeDirectory(DurableFile.directory(of: target))
            _ = try? DurableFile.remove(target)
            _ = try FileCopy.copy(passphraseFile, to: target)
        }
    }
}
