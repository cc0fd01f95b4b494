// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
package import OCI
package import RegistryClient
package import TUF

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
        let pushed = try await self.push(
            [ImageToPush(image.descriptor, in: source, as: reference.with(tag: tag))],
            progress: progress
        )
        guard let only = pushed.first else { throw ContentTrustError(.reference, "\(path) has no image to push") }
        return only
    }

    /// An image of a source, and what it is to be called.
    package struct ImageToPush: Sendable {
        /// Its manifest or index.
        package let image: Descriptor
        /// Where its bytes are.
        package let source: ImageSource
        /// Its tag in a registry.
        package let reference: ImageReference

        package init(_ image: Descriptor, in source: ImageSource, as reference: ImageReference) {
            self.image = image
            self.source = source
            self.reference = reference
        }
    }

    /// Pushes images, and then signs all their tags: one publish for each collection.
    /// - Throws: as ``push(_:image:to:temporaryDirectory:progress:)``.
    package func push(
        _ images: [ImageToPush],
        _ options: SigningOptions = SigningOptions(),
        progress: @escaping TransferProgress = { _ in }
    ) async throws -> [PushedImage] {
        // What could not be signed is not pushed either.
        let targets = try images.map {
            try ImageTarget(
                $0.reference,
                digest: $0.image.digest,
                size: $0.image.size,
                mediaType: $0.image.mediaType
            )
        }
        for image in images {
            try await self.withRegistry(of: image.reference) { registry in
                _ = try await ImagePusher(client: registry, progress: progress).push(
                    image.source,
                    image.image,
                    to: image.reference.repository,
                    tag: image.reference.tag
                )
            }
        }
        return try await self.sign(targets, options).flatMap { repository in
            repository.images.map { image in
                PushedImage(
                    reference: image.target.reference,
                    descriptor: Descriptor(
                        mediaType: image.target.mediaType ?? .imageManifest,
                        digest: image.target.digest,
                        size: image.target.size
                    ),
                    roles: image.roles,
                    newRootKeyIDs: repository.newRootKeyIDs
                )
            }
        }
    }
}
