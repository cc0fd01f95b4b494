// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import DurableFiles
import FoundationEssentials
import KeyStore
package import TUF
package import TrustClient

extension ManagedCollection {
    /// What a rescue is to do, and with what.
    package struct RescueRequest: Sendable {
        /// What is not in force for this many days from now counts as due.
        package var days = 0
        /// The roles to look after; all for nil.
        package var roles: Set<RoleName>?
        /// Files of private keys, PEM, that are used besides those of the trust directory, and not kept there.
        package var keyFiles: [String] = []
        /// Files of root certificates, PEM, that take the place of those of the same keys.
        package var certificateFiles: [String] = []

        package init() {}
    }

    /// What a rescue did.
    package struct Rescue: Sendable {
        /// What it found; nil when it went on with what had waited for signatures.
        package let plan: RescuePlan?
        /// The roles that were sent.
        package let published: [RoleName]
        /// What waits for signatures of others.
        package let pending: [SigningCeremony]
        /// Why a reader would still refuse the collection, after something was published; nil when none would.
        package let refusal: TrustClientError?
    }

    /// Brings the collection back where it has expired: signs the same content again, with the keys here.
    ///
    /// - Parameter confirm: shown the plan, says whether to go on. Not asked when nothing is due or signatures have come for what
    ///   waited.
    /// - Throws: `TrustClientError`: with code `noSigningKey` when keys are missing, `rollback` when the server has gone back
    ///   behind what is known here, `conflict` when somebody else published meanwhile; `KeyStoreError`.
    package func rescue(
        _ request: RescueRequest,
        confirm: @escaping @Sendable (RescuePlan) async throws -> Bool
    ) async throws -> Rescue {
        try await self.refuseImageName()
        var files: [(path: String, bytes: [UInt8])] = []
        for path in request.keyFiles { files.append((path, try await Self.read(path, limit: 64 << 10))) }
        var options = CollectionRescue.Options()
        options.days = request.days
        options.roles = request.roles
        for path in request.certificateFiles { options.certificates.append(try await self.rootCertificate(path)) }
        return try await self.open { [files, options] publisher, keys in
            let lent = try await LentKeys(files, before: keys, passphrases: self.passphrases)
            let publisher = CollectionPublisher(publisher.client, keys: lent)
            if let outcome = try await CollectionRescue.resume(publisher) {
                return await Self.rescue(nil, outcome, publisher.client)
            }
            let rescue = try await CollectionRescue(publisher, options)
            guard rescue.plan.isNeeded, try await confirm(rescue.plan) else {
                return Rescue(plan: rescue.plan, published: [], pending: [], refusal: nil)
            }
            return await Self.rescue(rescue.plan, try await rescue.perform(), publisher.client)
        }
    }

    /// Reads the collection once more as anybody would.
    private static func rescue(
        _ plan: RescuePlan?,
        _ outcome: CollectionPublisher.Outcome,
        _ client: CollectionClient
    ) async -> Rescue {
        var refusal: TrustClientError?
        if !outcome.roles.isEmpty {
            do {
                _ = try await client.update()
            } catch let error as TrustClientError {
                refusal = error
            } catch {
                refusal = TrustClientError(.other, "\(error)")
            }
        }
        return Rescue(plan: plan, published: outcome.roles, pending: outcome.pending, refusal: refusal)
    }
}
