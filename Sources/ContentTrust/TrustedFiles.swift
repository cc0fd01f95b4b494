// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import NotaryAPI
package import TUF
package import TrustClient

/// A collection of any files, as `notary` reads it.
package struct TrustedFiles: Sendable {
    /// All targets of a collection.
    package struct Listing: Sendable {
        /// The targets, each name once, in the order of their bytes.
        package let targets: [FoundTarget]
        /// How current the metadata is.
        package let freshness: Freshness?
        /// The root keys that have just become trusted; nil when the collection was known.
        package let firstUse: FirstUse?
        /// What did not stop the reading but should be known.
        package let warnings: [CollectionWarning]
    }

    private let settings: ClientSettings
    private let now: @Sendable () -> Date

    package init(settings: ClientSettings, now: @escaping @Sendable () -> Date = { Date() }) {
        self.settings = settings
        self.now = now
    }

    /// All targets of a collection, or of the subtrees of some of its roles; a name counts in the role that is named first.
    /// - Throws: ``TrustClientError``.
    package func list(_ gun: GUN, roles: [RoleName] = [.targets]) async throws -> Listing {
        let connection = CollectionConnection(settings: self.settings, now: self.now)
        return try await connection.with(gun) { client in
            var collection = try await client.update()
            return Listing(
                targets: try await collection.list(roles),
                freshness: collection.freshness,
                firstUse: collection.firstUse,
                warnings: collection.warnings
            )
        }
    }
}
