// SPDX-License-Identifier: Apache-2.0

package import TUF

/// How a trust server behaves. The defaults are Notary's where Notary has one.
package struct TrustServerConfiguration: Sendable {
    /// Only collections whose names start with one of these are served; empty for all.
    package var gunPrefixes: [String] = []
    /// The type of the keys that the signer is asked to make.
    package var keyAlgorithm = KeyType.ecdsa

    /// How long caches may keep what is current, in seconds. 0 forbids caching.
    package var currentMaximumAge = 300
    /// How long caches may keep what is named by its hash or version, in seconds. 0 forbids caching.
    package var consistentMaximumAge = 2_592_000

    /// The most bytes of one upload, all its files together.
    package var uploadLimit = 32 << 20
    /// The most files of one upload.
    package var uploadPartLimit = 256
    /// The most bytes of a root in an upload: each of its certificates has to be decoded.
    package var rootLimit = 4 << 20
    /// The most bytes of uploads that are held in memory at once. Beyond it, publishers are told to come again.
    package var uploadMemory = 512 << 20

    /// How long a new timestamp is valid, in seconds.
    package var timestampLifetime: Int64 = 14 * 86400
    /// How long a new snapshot is valid, in seconds.
    package var snapshotLifetime: Int64 = 1095 * 86400
    /// How long before its expiry a timestamp is renewed in the background at the latest, in seconds. Each collection has its own
    /// time, up to half as long again before: what was signed in one hour is not to be renewed in one hour.
    package var timestampMargin: Int64 = 4 * 86400
    /// How long before its expiry a snapshot that the server signs is renewed in the background at the latest, in seconds.
    package var snapshotMargin: Int64 = 90 * 86400
    /// The pause between two looks for what is to be renewed. Up to a tenth is added at random, so that several servers of
    /// one database do not look at once.
    package var renewalInterval: Duration = .seconds(300)
    /// How many collections one server takes for itself at a time, of those that are to be renewed.
    package var renewalBatch = 64
    /// How many collections this server renews at once.
    package var renewalConcurrency = 4
    /// The most collections that this server renews in a second: publishers and readers go first.
    package var renewalRate = 100
    /// How long a collection belongs to the server that took it, in seconds. One that did not come back loses it then.
    package var renewalLease: Int64 = 300
    /// How long a collection that could not be renewed waits for its next turn, in seconds: twice as long after each failure, up
    /// to a day.
    package var renewalRetry: Int64 = 3600

    /// How long before certificates, roots, targets and delegations expire the log warns of it, in days: once at each of these,
    /// and once when they have.
    package var expiryWarnings: [Int64] = [90, 30, 7, 1]
    /// How many warnings of one level a look writes to the log one by one; the rest are counted.
    package var expiryWarningLimit = 20
    /// The pause between two looks for what expires. Up to a tenth is added at random.
    package var expiryInterval: Duration = .seconds(300)

    /// The most bytes of metadata kept in memory, for each of three caches: served files, current pointers, verified values.
    package var cacheSize = 32 << 20
    /// How long a current pointer in memory is believed before the database is asked again. Nil when this server is the only
    /// one that writes to the database: then it knows of every change.
    package var revalidation: Duration?

    package init() {}
}
