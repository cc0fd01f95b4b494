// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
package import OCI
import TUF
package import TrustClient

/// What a revocation did.
package struct Revocation: Sendable {
    /// The collection's name.
    package let gun: String
    /// The tags, with the roles they were taken from, and those that still list them.
    package let tags: [RevocableTarget]

    /// Tags that still count, as the keys of a role that lists them are elsewhere.
    package var stillReleased: [RevocableTarget] { self.tags.filter(\.isStillReleased) }
}

extension TrustedImages {
    /// Takes a tag, or all tags, out of every role whose keys are here, in one publish. What others have staged is left alone.
    /// - Throws: `TrustClientError`, with code `notSigned` when there is nothing to take away, `noSigningKey` when no key that could
    ///   do it is here.
    package func revoke(_ repository: ImageReference, tag: Tag?) async throws -> Revocation {
        let keys = try await self.signingKeys()
        return try await self.withOwnCollection(of: repository) { client in
            var collection = try await client.update()
            let found = try await collection.revocableTargets(tag?.description, with: keys)
            guard !found.isEmpty else {
                throw TrustClientError(
                    .notSigned,
                    tag.map { "no valid trust data for \($0) in \(client.gun)" }
                        ?? "no signed tags to remove in \(client.gun)"
                )
            }
            let changes = found.flatMap { target in target.roles.map { Change.remove(target.name, from: $0) } }
            guard !changes.isEmpty else {
                let roles = Set(found.flatMap(\.otherRoles)).map(\.text).sorted()
                throw TrustClientError(
                    .noSigningKey,
                    "\(client.gun) is signed by \(roles.joined(separator: ", ")), and no key of these is here: import one, or ask "
                        + "who has it"
                )
            }
            let outcome = try await CollectionPublisher(client, keys: keys).publish(changes)
            try client.ceremonies.requireComplete(outcome.pending)
            return Revocation(gun: client.gun.text, tags: found)
        }
    }
}
