// SPDX-License-Identifier: Apache-2.0

import TUF
package import TrustClient

extension ManagedCollection {
    /// Takes the collection along to the trust server of the settings, which knows nothing of it yet.
    /// - Parameters:
    ///   - url: the server that it comes from; nil for what is kept here.
    ///   - authorityFile: a CA of that server, PEM.
    /// - Returns: what was sent, and why a reader would still refuse the collection, if one would.
    /// - Throws: as `CollectionMove.run()`; `KeyStoreError`.
    package func move(
        from url: String?,
        authorityFile: String?
    ) async throws -> (outcome: CollectionMove.Outcome, refusal: TrustClientError?) {
        try await self.open { publisher, _ in
            let outcome: CollectionMove.Outcome
            if let url {
                var server = try NotaryServer(url: url)
                server.authorityFiles = [authorityFile].compactMap { $0 }
                server.userAgent = "hallmark"
                outcome = try await NotaryTransport.with(
                    server,
                    credentials: self.settings.credentials(for: self.gun)
                ) { source in try await CollectionMove(publisher, from: source).run() }
            } else {
                outcome = try await CollectionMove(publisher, from: nil).run()
            }
            do {
                _ = try await publisher.client.update()
                return (outcome, nil)
            } catch let error as TrustClientError {
                return (outcome, error)
            }
        }
    }
}
