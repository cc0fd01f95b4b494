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
    /// How long before its expiry a timestamp is renewed in the background, in seconds.
    package var timestampMargin: Int64 = 4 * 86400
    /// How long before its expiry a snapshot that the server signs is renewed in the background, in seconds.
    package var snapshotMargin: Int64 = 90 * 86400
    /// The pause between two looks for what is to be renewed. Up to a tenth is added at random, so that several servers of
    /// one database do not look at once.
    package var renewalInterval: Duration = .seconds(300)
    /// How many collections are renewed before the next ones are looked for.
    package var renewalBatch = 64
    /// How long a collection that could not be renewed waits for its next turn, in seconds.
    package var renewalRetry: Int64 = 3600

    /// The most bytes of metadata kept in memory, for each of three caches: served files, current pointers, verified values.
    package var cacheSize = 32 << 20
    /// How long a current pointer in memory is believed before the database is asked again. Nil when this server is the only
    /// one that writes to the database: then it knows of every change.
    package var revalidation: Duration?

    package init() {}
}
