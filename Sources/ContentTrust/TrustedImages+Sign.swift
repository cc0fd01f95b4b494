// SPDX-License-Identifier: Apache-2.0

import KeyStore
import NotaryAPI
package import OCI
import RegistryClient
package import TUF
import TrustClient

/// What a tag is to mean once it is signed.
package struct ImageTarget: Sendable, Hashable {
    /// The tag, without a digest.
    package let reference: ImageReference
    /// The manifest's or index's digest: SHA-256, as Notary names content.
    package let digest: Digest
    /// Its size in bytes.
    package let size: Int64
    /// What kind of manifest it is, where that is known.
    package let mediaType: MediaType?

    /// - Throws: ``ContentTrustError`` with code `reference` for a reference without a tag, `notAnImage` for a digest that tags
    ///   cannot be signed with.
    package init(_ reference: ImageReference, digest: Digest, size: Int64, mediaType: MediaType? = nil) throws {
        guard let tag = reference.tag else {
            throw ContentTrustError(.reference, "\(reference.familiarDescription) names no tag to sign")
        }
        guard digest.algorithm == .sha256 else {
            throw ContentTrustError(.notAnImage, "\(digest): tags are signed with SHA-256 digests")
        }
        self.reference = reference.with(tag: tag)
        self.digest = digest
        self.size = size
        self.mediaType = mediaType
    }

    /// The tag's text: the name of the target.
    package var tag: String { (self.reference.tag ?? .latest).description }
}

/// A tag that was signed.
package struct SignedImage: Sendable, Hashable {
    /// The tag and what it means now.
    package let target: ImageTarget
    /// The roles that say so.
    package let roles: [RoleName]
}

/// What signing did to one collection.
package struct SignedRepository: Sendable {
    /// The collection's name.
    package let gun: String
    /// The tags, in the order in which they were asked for.
    package let images: [SignedImage]
    /// The ids of the root keys of a collection that was made for it; empty for one that was there.
    package let newRootKeyIDs: [KeyID]
    /// The signer who was made with it; nil for none.
    package let newSigner: String?
}

extension TrustedImages {
    /// How tags are signed.
    package struct SigningOptions: Sendable {
        /// What the tag must still mean in the registry; for one reference.
        package var expectedDigest: Digest?
        /// The roles to sign; none for those that Docker signs: the delegations whose keys are here, else `targets`.
        package var roles: [RoleName] = []
        /// What to say of the tags besides.
        package var custom: JSONValue?
        /// Whose role signs a collection that has to be made for it, as `docker trust sign` does; nil for `targets`.
        package var newSigner: String?
        /// Whether a tag that is signed already is signed as what it was, as `docker trust sign` does, and the registry is asked
        /// about others only.
        package var keepsSignedDigests = false

        package init() {}
    }

    /// Signs tags that are in their registries: one publish for each collection. What others have staged is left alone.
    ///
    /// A tag means what it means in the registry now; with a digest beside it, that. The manifest is fetched and hashed, not merely
    /// asked about. A collection that does not exist is made, its snapshot left to the server.
    /// - Parameter signed: told of each collection when it is published: those are signed even if a later one fails.
    /// - Throws: `TrustClientError`, `RegistryError`, `KeyStoreError`; ``ContentTrustError``, with code `tagMoved` when the tag
    ///   does not mean what was expected.
    @discardableResult
    package func sign(
        _ references: [ImageReference],
        _ options: SigningOptions = SigningOptions(),
        signed: (SignedRepository) -> Void = { _ in }
    ) async throws -> [SignedRepository] {
        let targets = try await self.targets(of: references, options)
        return try await self.sign(targets, options, signed: signed)
    }

    /// Signs what tags are to mean: one publish for each collection. The registry is not asked.
    /// - Throws: `TrustClientError`, `KeyStoreError`, ``ContentTrustError``.
    @discardableResult
    package func sign(
        _ targets: [ImageTarget],
        _ options: SigningOptions = SigningOptions(),
        signed: (SignedRepository) -> Void = { _ in }
    ) async throws -> [SignedRepository] {
        try Self.refuseContradictions(among: targets)
        if let signer = options.newSigner { _ = try Self.role(ofSigner: signer) }
        var results: [SignedRepository] = []
        for (gun, members) in Self.grouped(targets) {
            let result = try await self.sign(members, in: gun, options)
            results.append(result)
            signed(result)
        }
        return results
    }

    private func sign(
        _ targets: [ImageTarget],
        in gun: String,
        _ options: SigningOptions
    ) async throws -> SignedRepository {
        let keys = try await self.signingKeys()
        guard let first = targets.first else {
            return SignedRepository(gun: gun, images: [], newRootKeyIDs: [], newSigner: nil)
        }
        return try await self.withOwnCollection(of: first.reference) { client in
            let publisher = CollectionPublisher(client, keys: keys)
            var changes: [Change] = []
            var roles: [[RoleName]] = []
            var newRootKeyIDs: [KeyID] = []
            var newSigner: String?
            do {
                let collection = try await client.update()
                for target in targets {
                    roles.append(
                        options.roles.isEmpty
                            ? try await collection.signableRoles(for: target.tag, with: keys) : options.roles
                    )
                }
            } catch let error as TrustClientError where error.code == .noTrustData {
                // A collection that was made here but never published goes on from where it stopped.
                if try await client.cache.read(.root, of: client.gun) == nil {
                    newRootKeyIDs = [try await publisher.initialize(serverManagesSnapshot: true)]
                }
                newSigner = options.newSigner
                var signing = options.roles.isEmpty ? [RoleName.targets] : options.roles
                if let newSigner {
                    let role = try Self.role(ofSigner: newSigner)
                    changes += Self.signerChanges(role, [try await Self.signerKey(role, keys)])
                    if options.roles.isEmpty { signing = [role, .releases] }
                }
                roles = targets.map { _ in signing }
            }
            let images = zip(targets, roles).map { SignedImage(target: $0, roles: $1) }
            for image in images {
                let file = try image.target.file(custom: options.custom)
                changes += image.roles.map { .add(image.target.tag, file, to: $0) }
            }
            let outcome = try await publisher.publish(changes)
            try client.ceremonies.requireComplete(outcome.pending)
            return SignedRepository(gun: gun, images: images, newRootKeyIDs: newRootKeyIDs, newSigner: newSigner)
        }
    }

    /// The private keys here.
    func signingKeys() async throws -> some SigningKeys {
        StoredKeys(try await self.settings.keyStore(), passphrases: self.passphrases)
    }

    private static func grouped(_ targets: [ImageTarget]) -> [(gun: String, targets: [ImageTarget])] {
        var groups: [(gun: String, targets: [ImageTarget])] = []
        for target in targets {
            if let index = groups.firstIndex(where: { $0.gun == target.reference.gun }) {
                groups[index].targets.append(target)
            } else {
                groups.append((target.reference.gun, [target]))
            }
        }
        return groups
    }

    private static func refuseContradictions(among targets: [ImageTarget]) throws {
        var known: [ImageReference: Digest] = [:]
        for target in targets {
            if let digest = known[target.reference], digest != target.digest {
                throw ContentTrustError(
                    .reference,
                    "\(target.reference.familiarDescription) cannot be both \(digest) and \(target.digest)"
                )
            }
            known[target.reference] = target.digest
        }
    }
}

// MARK: - What is to be signed

extension TrustedImages {
    /// What tags mean: asked of the registry, or of those who have signed them.
    private func targets(of references: [ImageReference], _ options: SigningOptions) async throws -> [ImageTarget] {
        if let expected = options.expectedDigest, references.count > 1 || expected.algorithm != .sha256 {
            throw ContentTrustError(.reference, "\(expected) can be the digest of one tag only, in SHA-256")
        }
        var targets: [ImageTarget] = []
        for reference in references {
            if options.keepsSignedDigests, let target = try await self.signedTarget(of: reference) {
                targets.append(target)
            } else {
                targets.append(try await self.target(of: reference, expecting: options.expectedDigest))
            }
        }
        return targets
    }

    /// What a tag was signed as; nil when it is not signed.
    package func signedTarget(of reference: ImageReference) async throws -> ImageTarget? {
        guard reference.digest == nil else { return nil }
        do {
            let trusted = try await self.resolve(reference)
            return try ImageTarget(reference, digest: trusted.digest, size: trusted.size)
        } catch let error as TrustClientError where [.noTrustData, .notSigned].contains(error.code) {
            return nil
        }
    }

    /// What a tag is in its registry, from the manifest itself.
    /// - Parameter digest: what it has to be.
    /// - Throws: `RegistryError`, `OCIError`; ``ContentTrustError`` with code `tagMoved`.
    package func target(of reference: ImageReference, expecting digest: Digest? = nil) async throws -> ImageTarget {
        try await self.withRegistry(of: reference) { registry in
            let fetched = try await registry.getManifest(reference.repository, reference.reference)
            // What cannot be read cannot be pulled by anybody.
            let manifest = try fetched.parse()
            let found = Digest(hashing: fetched.bytes)
            if let digest, digest != found {
                throw ContentTrustError(
                    .tagMoved,
                    "\(reference.familiarDescription) is \(found) in the registry now, not \(digest): look at what it has become, "
                        + "or sign \(reference.familiarName):TAG@\(digest)"
                )
            }
            return try ImageTarget(
                reference,
                digest: found,
                size: Int64(fetched.bytes.count),
                mediaType: manifest.mediaType
            )
        }
    }
}

extension ImageTarget {
    /// The entry in signed metadata.
    func file(custom: JSONValue? = nil) throws -> TargetFile {
        guard let hash = Hexadecimal.decode(self.digest.encoded) else {
            throw ContentTrustError(.notAnImage, "\(self.digest): tags are signed with SHA-256 digests")
        }
        return TargetFile(length: self.size, hashes: Hashes(sha256: hash), custom: custom)
    }
}
