// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
import TrustClient

/// Opens collections the way the settings say.
struct CollectionConnection: Sendable {
    let settings: ClientSettings
    let now: @Sendable () -> Date

    /// Opens a collection for the time that the body runs.
    func with<Result: Sendable>(
        _ gun: GUN,
        _ body: @Sendable (CollectionClient) async throws -> Result
    ) async throws -> Result {
        try await NotaryTransport.with(
            try self.settings.trustServer(for: gun),
            credentials: self.settings.credentials(for: gun)
        ) { transport in
            try await body(
                CollectionClient(
                    gun: gun,
                    transport: transport,
                    cache: MetadataCache(directory: self.settings.trustDirectory),
                    anchor: self.settings.anchor(for: gun),
                    now: self.now
                )
            )
        }
    }
}
