// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import KeyStore
import NotaryAPI
package import OCI
package import RegistryClient
package import TUF
import TrustClient

/// What a push did.
package struct PushedImage: Sendable {
    /// The reference that names it now.
    package let reference: ImageReference
    /// The manifest's media type, digest and size.
    package let descriptor: Descriptor
    /// The roles that were signed.
    package let roles: [RoleName]
    /// The ids of the root keys of a collection that this push has made; empty for one that was there.
    package let newRootKeyIDs: [KeyID]
}

extension TrustedImages {
    /// Pushes an image and signs its tag: content first, then the metadata that makes it count. A collection that does not exist
    /// is made, its snapshot left to the server, as Docker does.
    ///
    /// - Parameters:
    ///   - path: an OCI image layout or docker-archive, directory or tar file.
    ///   - name: which of its images; nil for the only one.
    ///   - temporaryDirectory: where layers are compressed that a docker-archive holds uncompressed.
    /// - Throws: `TrustClientError`, `RegistryError`, `OCIError`, `KeyStoreError`, ``ContentTrustError``. When signing fails, the
    ///   content is in the registry but nobody who checks trust takes it.
    package func push(
        _ path: String,
        image name: String? = nil,
        to reference: ImageReference,
        temporaryDirectory: String,
        progress: @escaping TransferProgress = { _ in }
    ) async throws -> PushedImage {
        let tag = try Self.tag(of: reference)
        let (source, image) = try await BlockingWork.wait {
            let source = try ImageSource(path: path, temporaryDirectory: temporaryDirectory)
            return (source, try source.image(named: name))
        }
        let descriptor = try await self.withRegistry(of: reference) { registry in
            try await ImagePusher(client: registry, progress: progress).push(
                source,
                image.descriptor,
                to: reference.repository,
                tag: tag
            )
        }
        return try await self.sign(reference, tag, descriptor)
    }

    private func sign(
        _ reference: ImageReference,
        _ tag: Tag,
        _ descriptor: Descriptor
    ) async throws -> PushedImage {
        guard descriptor.digest.algorithm == .sha256, let hash = Hexadecimal.decode(descriptor.digest.encoded) else {
            throw ContentTrustError(.notAnImage, "\(descriptor.digest): tags are signed with SHA-256 digests")
        }
        let target = TargetFile(length: descriptor.size, hashes: Hashes(sha256: hash))
        let keys = StoredKeys(
            try await KeyStore(trustDirectory: self.settings.trustDirectory),
            passphrases: self.passphrases
        )
        return try await self.withCollection(of: reference) { client in
            let publisher = CollectionPublisher(client, keys: keys)
            var roles = [RoleName.targets]
            var newRootKeyIDs: [KeyID] = []
            do {
                roles = try await client.update().signableRoles(for: tag.description, with: keys)
            } catch let error as TrustClientError where error.code == .noTrustData {
                // A collection that was made here but never published goes on from where it stopped.
                if try await client.cache.read(.root, of: client.gun) == nil {
                    newRootKeyIDs = [try await publisher.initialize(serverManagesSnapshot: true)]
                }
            }
            let outcome = try await publisher.publish(roles.map { .add(tag.description, target, to: $0) })
            try client.ceremonies.requireComplete(outcome.pending)
            return PushedImage(
                reference: reference,
                descriptor: descriptor,
                roles: roles,
                newRootKeyIDs: newRootKeyIDs
            )
        }
    }
}
