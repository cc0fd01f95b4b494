// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import NotaryAPI
package import TUF
import TrustClient

/// The root keys that a pin of a collection could name.
package struct PinnableRoot: Sendable {
    private let settings: ClientSettings

    package init(settings: ClientSettings) {
        self.settings = settings
    }

    /// Those that this machine trusts; nil for a collection that it does not know.
    package func known(_ gun: GUN) async throws -> [KeyID]? {
        let cache = MetadataCache(directory: self.settings.trustDirectory)
        guard let bytes = try await cache.read(.root, of: gun) else { return nil }
        do {
            let root = try RootTrust(gun: gun.text).verifyStored(try UnverifiedMetadata(bytes, format: .notary))
            return root.payload.roles[.root]?.keyIDs
        } catch let error as TUFError {
            throw TrustClientError(error, context: gun.text)
        }
    }

    /// Those of the root that the trust server has, which vouches for itself and for nothing else. None of it is kept.
    /// - Throws: `TrustClientError`.
    package func offered(_ gun: GUN) async throws -> [KeyID] {
        let bytes = try await NotaryTransport.with(
            try self.settings.trustServer(for: gun),
            credentials: self.settings.credentials(for: gun)
        ) { try await $0.fetch(.root, .current, of: gun, limit: WireFormat.rootLimit) }
        do {
            let root = try RootTrust(gun: gun.text).verify(
                try UnverifiedMetadata(bytes, format: .notary),
                after: nil,
                at: Date()
            )
            return root.payload.roles[.root]?.keyIDs ?? []
        } catch let error as TUFError {
            throw TrustClientError(error, context: gun.text)
        }
    }
}
