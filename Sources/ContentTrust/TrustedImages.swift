// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import KeyStore
package import Logging
import NotaryAPI
package import OCI
import RegistryClient
import TUF
import TrustClient

/// Images whose tags mean what their publishers signed: Docker's rules, without Docker.
package struct TrustedImages: Sendable {
    let settings: ClientSettings
    let passphrases: any PassphraseSource
    let logger: Logger
    let now: @Sendable () -> Date

    /// - Parameters:
    ///   - settings: where servers, keys and certificates are.
    ///   - passphrases: asked when a key has to sign; reading needs none.
    package init(
        settings: ClientSettings,
        passphrases: any PassphraseSource,
        logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.settings = settings
        self.passphrases = passphrases
        self.logger = logger
        self.now = now
    }

    // MARK: Reading

    /// What a tag means now. By digest: which signed tags mean it; with a tag and a digest, whether that tag does.
    /// - Throws: `TrustClientError`, with code `notSigned` for a digest that no signed tag means; ``ContentTrustError``.
    package func resolve(_ reference: ImageReference) async throws -> TrustedImage {
        try await self.withCollection(of: reference) { client in
            var collection = try await client.update()
            let found = try await Self.released(reference, in: &collection)
            guard let first = found.first, let digest = first.file.manifestDigest else {
                throw ContentTrustError(
                    .notAnImage,
                    "\(reference.familiarDescription) is signed without a SHA-256 digest: it is no image"
                )
            }
            return TrustedImage(
                reference: reference,
                tags: found.compactMap { try? Tag($0.name) },
                digest: digest,
                size: first.file.length,
                role: first.role,
                freshness: collection.freshness,
                firstUse: collection.firstUse,
                warnings: collection.warnings
            )
        }
    }

    /// The targets that are meant, one at least.
    private static func released(
        _ reference: ImageReference,
        in collection: inout LoadedCollection
    ) async throws -> [FoundTarget] {
        guard let digest = reference.digest else {
            return [try await collection.lookupReleased((reference.tag ?? .latest).description)]
        }
        if let tag = reference.tag {
            let found = try await collection.lookupReleased(tag.description)
            guard found.file.manifestDigest == digest else {
                throw TrustClientError(
                    .notSigned,
                    "\(reference.familiarName):\(tag) is signed as \(found.file.manifestDigest?.description ?? "no image"), not as "
                        + "\(digest)"
                )
            }
            return [found]
        }
        let found = try await collection.listReleased().filter { $0.file.manifestDigest == digest }
        guard !found.isEmpty else {
            throw TrustClientError(
                .notSigned,
                "no signed tag of \(collection.gun) means \(digest): it may have been one's, and is not any more"
            )
        }
        return found
    }

    /// Everything that is signed of a repository; with `tag` or `digest`, only the tags that are named so or mean this.
    /// - Throws: `TrustClientError`, with code `notSigned` when there is no such tag.
    package func inspect(
        _ repository: ImageReference,
        tag: Tag? = nil,
        digest: Digest? = nil
    ) async throws -> TrustedRepository {
        try await self.withCollection(of: repository) { client in
            var collection = try await client.update()
            let released = try await collection.listReleased()
            let entries = try await collection.entries()
            let tags = released.filter {
                (tag == nil || $0.name == tag?.description) && (digest == nil || $0.file.manifestDigest == digest)
            }
            if tags.isEmpty, tag != nil || digest != nil {
                let wanted = [tag?.description, digest?.description].compactMap { $0 }.joined(separator: "@")
                throw TrustClientError(.notSigned, "no valid trust data for \(wanted) in \(collection.gun)")
            }
            return TrustedRepository(
                gun: collection.gun.text,
                tags: tags.map { Self.signedTag($0, entries) },
                signers: collection.signers,
                rootKeyIDs: collection.keyIDs(of: .root),
                repositoryKeyIDs: collection.keyIDs(of: .targets),
                freshness: collection.freshness,
                firstUse: collection.firstUse,
                warnings: collection.warnings
            )
        }
    }

    private static func signedTag(_ target: FoundTarget, _ entries: [FoundTarget]) -> TrustedRepository.SignedTag {
        let signers = entries.filter {
            $0.name == target.name && $0.role.isDelegation && $0.role != .releases
                && $0.file.hashes == target.file.hashes
        }
        return TrustedRepository.SignedTag(
            name: target.name,
            digest: target.file.manifestDigest,
            size: target.file.length,
            signers: signers.map { String($0.role.text.dropFirst("targets/".count)) }.sorted()
        )
    }

    // MARK: Connections

    /// Opens the collection of an image for the time that the body runs.
    func withCollection<Result: Sendable>(
        of reference: ImageReference,
        _ body: @Sendable (CollectionClient) async throws -> Result
    ) async throws -> Result {
        let connection = CollectionConnection(settings: self.settings, now: self.now)
        return try await connection.with(try self.settings.gun(for: reference), body)
    }

    /// Opens a registry for the time that the body runs.
    func withRegistry<Result: Sendable>(
        of reference: ImageReference,
        _ body: (RegistryClient) async throws -> Result
    ) async throws -> Result {
        try await self.withRegistry(named: reference.registry, body)
    }

    /// Opens a registry for the time that the body runs.
    func withRegistry<Result: Sendable>(
        named registry: String,
        _ body: (RegistryClient) async throws -> Result
    ) async throws -> Result {
        let client = try RegistryClient(
            registry: registry,
            configuration: try self.settings.registryConfiguration(for: registry),
            credentials: self.settings.registryCredentials,
            logger: self.logger
        )
        do {
            let result = try await body(client)
            try await client.shutdown()
            return result
        } catch {
            // What stopped the body is what matters.
            try? await client.shutdown()
            throw error
        }
    }

    static func tag(of reference: ImageReference) throws -> Tag {
        guard let tag = reference.tag, reference.digest == nil else {
            throw ContentTrustError(
                .reference,
                "\(reference.familiarDescription): content trust ties tags to digests; name a tag, without a digest"
            )
        }
        return tag
    }
}
