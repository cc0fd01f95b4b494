// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OCI

/// Sees to it that the database knows what clients are told of: a client that hears of a blob or manifest does not push it, so
/// it must not be collected before what the client pushes next holds on to it.
///
/// Whatever a client is told of has been seen, durably, within the last quarter of the grace time: told of at a time t, by
/// whichever instance, it is collected three quarters of the grace time after t at the earliest. So each costs one write in
/// that time, however often it is asked for.
struct SeenTimes: Sendable {
    let store: RegistryStore
    let clock: @Sendable () -> Date
    /// In seconds.
    let graceTime: TimeInterval

    /// What was seen before this, in Unix seconds, has to be seen again.
    var threshold: Int64 { Int64(self.clock().timeIntervalSince1970 - self.graceTime / 4) }

    private var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    /// To be called before a client is told that a repository has a blob.
    /// - Returns: When it was seen last; nil when the repository does not have it any more.
    func see(_ blob: StoredBlob, _ digest: Digest, in repository: RepositoryName) async throws -> Int64? {
        guard blob.seenAt < self.threshold else { return blob.seenAt }
        let now = self.now
        return try await self.store.seeBlob(digest, in: repository, at: now) ? now : nil
    }

    /// To be called before a client is told that a manifest exists.
    /// - Returns: When it was seen last; nil when it does not exist any more.
    func see(_ manifest: StoredManifest, in repository: RepositoryName) async throws -> Int64? {
        guard manifest.seenAt < self.threshold else { return manifest.seenAt }
        let now = self.now
        return try await self.store.seeManifest(manifest.digest, in: repository, at: now) ? now : nil
    }
}
