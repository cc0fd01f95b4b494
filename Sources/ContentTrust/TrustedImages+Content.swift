// SPDX-License-Identifier: Apache-2.0

package import OCI
import RegistryClient
import TrustClient

/// What a signed digest is, from its manifest.
package struct ImageContent: Sendable, Hashable {
    /// What kind of manifest it is.
    package let mediaType: MediaType
    /// What kind of artifact it is, when it says so.
    package let artifactType: String?
    /// What an index lists; empty for other manifests.
    package let entries: [Descriptor]
}

extension TrustedImages {
    /// What signed digests of a repository are, read from the registry and verified.
    /// - Throws: `RegistryError`, `OCIError`.
    package func content(
        of tags: [TrustedRepository.SignedTag],
        in repository: ImageReference
    ) async throws -> [Digest: ImageContent] {
        try await self.withRegistry(of: repository) { registry in
            var found: [Digest: ImageContent] = [:]
            for tag in tags {
                guard let digest = tag.digest, found[digest] == nil else { continue }
                let manifest = try await registry.getManifest(repository.repository, .digest(digest), size: tag.size)
                    .parse()
                found[digest] = ImageContent(
                    mediaType: manifest.mediaType,
                    artifactType: manifest.artifactType,
                    entries: manifest.manifests
                )
            }
            return found
        }
    }

    /// What counts of a repository, to be copied: all tags, or those that a reference means.
    /// - Parameter all: whether every tag is meant.
    /// - Throws: `TrustClientError`, ``ContentTrustError``.
    package func signedTargets(of reference: ImageReference, all: Bool) async throws -> [ImageTarget] {
        guard all else {
            let trusted = try await self.resolve(reference)
            return try trusted.tags.map {
                try ImageTarget(reference.with(tag: $0), digest: trusted.digest, size: trusted.size)
            }
        }
        return try await self.inspect(reference).tags.compactMap { tag in
            guard let digest = tag.digest, let name = try? Tag(tag.name) else { return nil }
            return try ImageTarget(reference.with(tag: name), digest: digest, size: tag.size)
        }
    }

    /// Which of these tags do not mean yet what they are to mean, according to those who have signed them.
    /// - Throws: `TrustClientError`.
    package func unsigned(_ targets: [ImageTarget]) async throws -> [ImageTarget] {
        guard let first = targets.first else { return [] }
        let known: [ImageTarget]
        do {
            known = try await self.signedTargets(of: first.reference, all: true)
        } catch let error as TrustClientError where error.code == .noTrustData {
            return targets
        }
        return targets.filter { target in
            !known.contains {
                $0.reference == target.reference && $0.digest == target.digest && $0.size == target.size
            }
        }
    }
}
