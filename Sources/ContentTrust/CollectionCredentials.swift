// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import TrustClient

/// Who somebody is to the trust server of a collection: `NOTARY_AUTH`, else what `docker login` knows of its registry.
struct CollectionCredentials: CredentialSource {
    let registry: String
    let notaryAuth: String
    let docker: DockerConfigCredentials

    func credential(for host: String) async throws -> Credential? {
        if !self.notaryAuth.isEmpty { return try Credential(notaryAuth: self.notaryAuth) }
        let credential = try await self.docker.credential(for: self.registry)
        // A token for the registry itself says nothing to a trust server.
        if case .bearerToken = credential { return nil }
        return credential
    }
}
