// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import FoundationEssentials
import TUF

/// Snapshot and top-level targets on disk that an earlier refresh has verified, and that nobody seems to have touched since.
///
/// They need not be read before something is looked up. Nothing is trusted for that: whoever forges the note, or the files
/// without being noticed, has only put off the moment at which they are read and refused.
struct VerifiedFiles: Sendable {
    /// The snapshot.
    let snapshot: StoredFile
    /// The top-level targets.
    let targets: StoredFile

    /// The most bytes that a note has.
    private static let noteLimit = 4096

    /// Opens both files if there is a note that they were verified under this root, as the timestamp lists the snapshot, and
    /// have not expired.
    static func open(noted path: String, _ state: VerifiedState, at now: Date) throws -> VerifiedFiles? {
        guard let snapshot = try StoredFile.open(state.snapshotPath),
            let targets = try StoredFile.open(state.targetsPath),
            let note = try? DurableFile.read(path, limit: Self.noteLimit)
        else { return nil }
        let lines = String(decoding: note, as: UTF8.self).split(separator: "\n", maxSplits: 1)
        guard lines.count == 2, let expires = try? Expiry(parsing: String(lines[0])), expires.date > now,
            lines[1] == state.text(snapshot.identity, targets.identity)
        else { return nil }
        return VerifiedFiles(snapshot: snapshot, targets: targets)
    }

    /// Notes that files of these identities were verified.
    static func note(
        _ path: String,
        _ state: VerifiedState,
        _ snapshot: StoredFile.Identity,
        _ targets: StoredFile.Identity,
        until expires: Expiry
    ) throws {
        let note = Array("\(expires.text)\n\(state.text(snapshot, targets))".utf8)
        guard (try? DurableFile.read(path, limit: Self.noteLimit)) != note else { return }
        // If the power takes it away, the next refresh verifies everything.
        try DurableFile.replace(path, with: note, isSynced: false)
    }
}

/// What it depends on whether snapshot and targets are those that were verified.
struct VerifiedState: Sendable {
    /// Where the snapshot is.
    let snapshotPath: String
    /// Where the top-level targets are.
    let targetsPath: String
    /// The SHA-256 of the root, in which are the keys and thresholds of both.
    private let root: String
    /// What the timestamp says of the snapshot.
    private let listing: String

    init(snapshotPath: String, targetsPath: String, root: [UInt8], listing: FileMetadata) {
        func text(_ number: Int64?) -> String { number.map { "\($0)" } ?? "-" }
        self.snapshotPath = snapshotPath
        self.targetsPath = targetsPath
        self.root = Hexadecimal.encode(Hashes(of: root).sha256 ?? [])
        let hashes = Hashes(of: (listing.hashes?.digests ?? [:]).flatMap { Array($0.key.utf8) + [0] + $0.value + [0] })
        self.listing =
            "\(text(listing.version)) \(text(listing.length)) "
            + (listing.hashes == nil ? "-" : Hexadecimal.encode(hashes.sha256 ?? []))
    }

    fileprivate func text(_ snapshot: StoredFile.Identity, _ targets: StoredFile.Identity) -> String {
        "root \(self.root)\nsnapshot \(self.listing) \(snapshot)\ntargets \(targets)\n"
    }
}
