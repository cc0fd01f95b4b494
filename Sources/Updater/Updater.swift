// SPDX-License-Identifier: Apache-2.0

import DurableFiles
public import FoundationEssentials
import TUF

/// The way to one TUF repository: what was trusted of it before, on disk, and the transport that has news of it.
///
/// ```swift
/// let updater = Updater(transport: transport, directory: cache, trustedRoot: root)
/// var repository = try await updater.refresh()
/// let target = try await repository.find("tool/2.1/tool.tar.gz")
/// try await repository.download(target, to: "tool.tar.gz")
/// ```
///
/// Any number of processes and tasks may use one directory at once, and each may refresh as often as it likes. A directory
/// belongs to one repository.
public struct Updater: Sendable {
    /// What is the same for every use of one repository.
    public struct Settings: Sendable, Hashable {
        /// Whether the names of targets in consistent snapshots begin with their hash (specification section 5.7.3). Some
        /// repositories leave it out.
        public var prefixTargetsWithHash = true
        /// How much the repository may make a client read.
        public var limits = Limits()

        /// Makes the usual settings.
        public init() {}
    }

    /// The most that is read of a repository before anything vouches for it. Each is at most what it is by default.
    public struct Limits: Sendable, Hashable {
        /// Bytes of a root: 4 MiB.
        public var rootLength = WireFormat.rootLimit
        /// Bytes of a timestamp: 1 MiB.
        public var timestampLength = WireFormat.timestampLimit
        /// Bytes of a snapshot, of targets or of a delegated role, whatever length the metadata above lists: 256 MiB.
        public var metadataLength = WireFormat.metadataLimit
        /// Roots that one refresh follows; the next goes on from there: 1024.
        public var rootRotations = WireFormat.rotationLimit

        /// Makes the usual limits.
        public init() {}

        /// None beyond the usual, and none below zero.
        fileprivate var bounded: Limits {
            let usual = Limits()
            func bound(_ path: WritableKeyPath<Limits, Int>) -> Int {
                min(max(0, self[keyPath: path]), usual[keyPath: path])
            }
            var bounded = usual
            for path in [\Limits.rootLength, \.timestampLength, \.metadataLength, \.rootRotations] {
                bounded[keyPath: path] = bound(path)
            }
            return bounded
        }
    }

    /// The way to the repository.
    public let transport: any RepositoryTransport
    /// The directory of what was trusted before.
    public let directory: String
    /// The settings.
    public let settings: Settings

    let now: @Sendable () -> Date
    /// The root that was shipped; nil where the directory holds the root to begin with.
    private let trustedRoot: [UInt8]?

    /// Makes an updater. Nothing is read or asked yet.
    ///
    /// - Parameters:
    ///   - transport: the way to the repository.
    ///   - directory: what was trusted before; it is made when it is first written to. Whoever can write there can hold back
    ///     updates, and if there is no `trustedRoot` choose the repository: it should be the application's own.
    ///   - trustedRoot: the bytes of a root that came with the application, over a channel that is trusted: any version of
    ///     it, also when newer ones are published. Everything is derived from it each time, so that a directory that is
    ///     damaged, or another repository's, heals. With nil the directory's own root is where trust begins: see
    ///     ``trust(root:)``.
    ///   - settings: what is peculiar to the repository.
    ///   - now: the time that every expiry is compared with.
    public init(
        transport: any RepositoryTransport,
        directory: String,
        trustedRoot: [UInt8]?,
        settings: Settings = Settings(),
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.transport = transport
        self.directory = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        self.trustedRoot = trustedRoot
        var settings = settings
        settings.limits = settings.limits.bounded
        self.settings = settings
        self.now = now
    }

    /// Makes a root that was checked by other means the one that trust begins with, in place of any that is there.
    ///
    /// Only needed without a root that is shipped. A root that was merely downloaded is trust on first use: nothing of the
    /// specification's guarantees holds against who answered that time.
    /// - Throws: ``UpdaterError`` with code `signature` when it does not vouch for itself, `storage` when it cannot be
    ///   written.
    public func trust(root: [UInt8]) async throws {
        var trusted = TrustedCollection(trust: .succession, format: .tuf, at: self.now())
        try await UpdaterError.refusing { try trusted.rememberRoot(root) }
        try await self.storing {
            try await self.folder.write([.init(role: .root, bytes: root)]) { _, _, _ in false }
        }
    }

    /// Learns what is current and verifies it down to the top-level targets (specification sections 5.2 to 5.6).
    ///
    /// Delegated roles are loaded when they are asked for. So are the snapshot and the targets when they were verified by an
    /// earlier refresh, the timestamp lists that very snapshot, the root is the same, nothing has expired and nobody has
    /// touched the files since: a refresh that finds nothing new takes milliseconds, whatever the size. They are verified in
    /// full before anything is looked up; ``TrustedRepository/verify()`` does that at once.
    ///
    /// Each file replaces the one in the directory as soon as it is verified; a refusal leaves what is there, and the next
    /// refresh goes on from it.
    /// - Throws: ``UpdaterError``: `unreachable` when the repository cannot be asked, `signature`, `expired` or `rollback` when
    ///   what it says must not be trusted, `noTrustData` when it lacks metadata that it must have, `storage` when the
    ///   directory cannot be used.
    public func refresh() async throws -> TrustedRepository {
        var update = try await self.begin()
        try await UpdaterError.refusing { try await update.refresh() }
        return TrustedRepository(update)
    }

    /// Refreshes, or where the repository cannot be reached goes on with what ``cached(maximumAge:)`` gives. A refusal stays
    /// one: only silence is bridged. Whoever is on the wire can be silent, and so hold back updates for that long.
    /// - Parameter maximumAge: the longest time since the last refresh.
    /// - Throws: ``UpdaterError`` with code `unreachable` when it was too long ago as well; others as ``refresh()``.
    public func refresh(orCachedWithin maximumAge: Duration) async throws -> TrustedRepository {
        do {
            return try await self.refresh()
        } catch let error as UpdaterError where error.code == .unreachable {
            do {
                return try await self.cached(maximumAge: maximumAge)
            } catch let other as UpdaterError {
                throw UpdaterError(
                    .unreachable,
                    "\(error.message); and offline: \(other.message)",
                    refusal: other.refusal
                )
            }
        }
    }

    /// What was current when it was last refreshed, without asking the repository. All of it must be in force still.
    ///
    /// Delegated roles are there as far as they were looked at when the repository was asked.
    /// - Parameter maximumAge: the longest time since that refresh.
    /// - Throws: ``UpdaterError`` with code `expired` when it is too long ago, `noTrustData` when there never was one.
    public func cached(maximumAge: Duration) async throws -> TrustedRepository {
        var update = try await self.begin()
        try await self.requireRefreshed(since: maximumAge)
        try await UpdaterError.refusing { try await update.load() }
        return TrustedRepository(update)
    }

    private func begin() async throws -> RepositoryUpdate {
        var update = RepositoryUpdate(self)
        try await UpdaterError.refusing { try await update.loadRoot(self.trustedRoot) }
        return update
    }

    private func requireRefreshed(since maximumAge: Duration) async throws {
        let (path, now) = (self.refreshPath, self.now())
        let text = try await self.storing { try await BlockingWork.run { try DurableFile.read(path, limit: 64) } }
        guard let text, let last = try? Expiry(parsing: String(decoding: text, as: UTF8.self)) else {
            throw UpdaterError(
                .noTrustData,
                "nothing was ever refreshed into \(self.directory), so it cannot be used offline: refresh it first"
            )
        }
        let age = now.timeIntervalSince(last.date)
        // A refresh in the future says that one of the two clocks was wrong, and so nothing about the age.
        guard age <= maximumAge / .seconds(1), age > -Self.clockSlack else {
            throw UpdaterError(
                .expired,
                "\(self.directory) was last refreshed at \(last), which is not within \(maximumAge) before "
                    + "\(Expiry(now)): refresh it"
            )
        }
    }

    private static let clockSlack: TimeInterval = 300
}
