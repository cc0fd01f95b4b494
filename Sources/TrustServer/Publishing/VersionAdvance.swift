// SPDX-License-Identifier: Apache-2.0

package import Database
package import FoundationEssentials
import HTTPService
package import NotaryAPI
import TUF

/// What advancing the versions of all collections has done.
package struct VersionAdvance: Sendable, Hashable {
    /// The collections whose timestamps, and snapshots where the server signs them, have gone on.
    package var advanced = 0
    /// Those that could not, and why.
    package var failed: [GUN: String] = [:]
}

extension TrustServer {
    /// Signs the timestamp of every collection again, and its snapshot where the server holds the key, with versions that lie so far
    /// ahead: after an older state of the database was put back, for clients that have seen newer ones than it remembers.
    ///
    /// What they list stays as it is. Nothing else may write to the database meanwhile.
    /// - Parameters:
    ///   - count: how many versions are left out.
    ///   - progress: told how many collections are done.
    /// - Throws: `DatabaseError`; `SignerError` when no key can be used at all.
    package static func advanceVersions(
        by count: Int64,
        configuration: TrustServerConfiguration = TrustServerConfiguration(),
        database: any SQLDatabase,
        signer: any Signer,
        now: @escaping @Sendable () -> Date = { Date() },
        progress: @Sendable (Int) -> Void = { _ in }
    ) async throws -> VersionAdvance {
        let store = TrustStore(database: database)
        try await store.migrate()
        let collections = Collections(store: store, configuration: configuration, now: now)
        let keys = OnlineKeys(
            signer: signer,
            algorithm: configuration.keyAlgorithm,
            store: store,
            metrics: TrustMetrics(Metrics())
        )
        let metadata = ServerMetadata(collections: collections, keys: keys)
        var result = VersionAdvance()
        var last = ""
        while true {
            let batch = try await store.collections(after: last, limit: 500)
            guard let end = batch.last else { return result }
            last = end
            for gun in batch.compactMap({ try? GUN($0) }) {
                try Task.checkCancellation()
                do {
                    try await metadata.advance(gun, by: count)
                    result.advanced += 1
                } catch let error as SignerError where error.code == .unavailable || error.code == .passphrase {
                    throw error
                } catch let error as DatabaseError {
                    throw error
                } catch {
                    result.failed[gun] = "\(error)"
                }
                progress(result.advanced + result.failed.count)
            }
        }
    }
}

extension ServerMetadata {
    fileprivate func advance(_ gun: GUN, by count: Int64) async throws {
        guard let head = try await self.collections.storedHead(of: gun), let old = head.snapshot,
            let root = try await self.collections.root(of: head)?.payload
        else { throw TUFError(.invalid, "its root or its snapshot is missing") }
        let now = self.collections.now()
        var snapshot: Verified<Snapshot>?
        if let meta = head.snapshotPayload?.meta, let held = try await self.keys.held(of: try root.keys(of: .snapshot))
        {
            let expires = Expiry(now.addingTimeInterval(Double(self.collections.configuration.snapshotLifetime)))
            let version = try Self.version(old.version, count, .snapshot)
            snapshot = try await self.keys.sign(
                Snapshot(version: version, expires: expires, meta: meta),
                of: .snapshot,
                with: held
            )
        }
        guard let held = try await self.keys.held(of: try root.keys(of: .timestamp)) else {
            throw TUFError(.invalid, role: .timestamp, "the signer does not hold its key")
        }
        let expires = Expiry(now.addingTimeInterval(Double(self.collections.configuration.timestampLifetime)))
        let timestamp = try await self.keys.sign(
            Timestamp(
                version: try Self.version(head.timestamp.version, count, .timestamp),
                expires: expires,
                snapshot: FileMetadata(of: snapshot?.bytes ?? old.bytes)
            ),
            of: .timestamp,
            with: held
        )
        let file = snapshot.map { self.stored(.snapshot, $0.payload.version, $0.bytes) }
        let stored = try await self.commit(
            file.map { [$0] } ?? [],
            timestamp: timestamp,
            snapshot: file ?? old,
            snapshotExpires: snapshot?.payload.expires,
            serverKeys: [],
            after: head,
            in: gun
        )
        guard stored == .stored else { throw TUFError(.invalid, "somebody else has written to it") }
    }

    private static func version(_ version: Int64, _ count: Int64, _ role: RoleName) throws -> Int64 {
        let (next, isPast) = version.addingReportingOverflow(count)
        guard !isPast, next > version, next <= UpdateValidation.versionLimit else {
            throw TUFError(.invalid, role: role, "version \(version) cannot go on by \(count)")
        }
        return next
    }
}
