// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import OCI

extension RegistryResponder {
    /// How many tags one push may set.
    private static let maximumTags = 50

    func manifest(
        _ name: RepositoryName,
        _ reference: Reference,
        _ query: RegistryQuery,
        _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        switch request.method {
        case .PUT:
            return try await self.putManifest(name, reference, query, request)
        case .DELETE:
            let removed = try await self.changing(name) {
                switch reference {
                case .tag(let tag):
                    try await self.store.removeTag(tag, from: name, at: Int64(self.clock().timeIntervalSince1970))
                case .digest(let digest): try await self.store.removeManifest(digest, from: name)
                }
            }
            guard removed else { throw Self.manifestUnknown(name, reference) }
            return HTTPResponse(status: .accepted)
        default:
            return try await self.getManifest(name, reference, request)
        }
    }

    private func getManifest(
        _ name: RepositoryName,
        _ reference: Reference,
        _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let generation = self.cache.generation(of: name)
        guard let manifest = try await self.store.manifest(reference, in: name),
            let seenAt = try await self.seen.see(manifest, in: name)
        else { throw Self.manifestUnknown(name, reference) }
        let response = Self.response(manifest, reference)
        self.cache.insert(
            .manifest(response.preparedForReuse),
            digest: manifest.digest,
            path: "/v2/\(name)/manifests/\(reference)",
            size: manifest.content.count,
            seenAt: seenAt,
            generation: generation
        )
        if Self.isNegotiated(response), AcceptedTypes(request.headers).needsImageInsteadOfList,
            let image = try await self.image(for: Self.oldPlatform, of: manifest, in: name)
        {
            let response = Self.response(image, reference, isNegotiated: true)
            return Conditions.isUnchanged(image.digest, request.headers) ? Self.unchanged(response) : response
        }
        return Conditions.isUnchanged(manifest.digest, request.headers) ? Self.unchanged(response) : response
    }

    /// What docker-registry has always given clients that know no lists.
    private static let oldPlatform = Platform(os: "linux", architecture: "amd64")

    /// The image of a list for a platform, if it is one that clients without lists can use.
    private func image(
        for platform: Platform,
        of list: StoredManifest,
        in name: RepositoryName
    ) async throws -> StoredManifest? {
        let entry = try await self.manifests.threads.blocking {
            let type = MediaType(rawValue: list.mediaType)
            return try Manifest(parsing: list.content, mediaType: type).manifests.first {
                $0.mediaType == .dockerManifest && $0.platform?.os == platform.os
                    && $0.platform?.architecture == platform.architecture
            }
        }
        guard let entry, let image = try await self.store.manifest(.digest(entry.digest), in: name),
            try await self.seen.see(image, in: name) != nil
        else { return nil }
        return image
    }

    /// Whether another client may get another manifest under the same path.
    static func isNegotiated(_ response: HTTPResponse) -> Bool { response.headers.contains(name: "vary") }

    /// What is stored is what is served, whatever `Accept` says: a client that cannot use it says so better than a 404.
    /// Only for a list of Docker, by its tag, there may be something that an old client can use.
    private static func response(
        _ manifest: StoredManifest,
        _ reference: Reference,
        isNegotiated: Bool = false
    ) -> HTTPResponse {
        let digest = manifest.digest.description
        var response = HTTPResponse(
            status: .ok,
            headers: [
                "content-type": manifest.mediaType,
                "docker-content-digest": digest,
                "etag": "\"\(digest)\"",
                "x-content-type-options": "nosniff",
                self.versionField.name: self.versionField.value,
            ],
            body: .bytes(ByteBuffer(data: manifest.content))
        )
        if isNegotiated || reference.digest == nil && manifest.mediaType == MediaType.dockerManifestList.rawValue {
            response.headers.add(name: "vary", value: "Accept")
        }
        return response
    }

    private func putManifest(
        _ name: RepositoryName,
        _ reference: Reference,
        _ query: RegistryQuery,
        _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let tags = try Self.tags(query)
        let receipt = try await self.manifestBudget.collecting(request.body, upTo: Manifest.maximumSize) { content in
            try await self.changing(name) {
                try await self.manifests.put(
                    ManifestService.Request(
                        repository: name,
                        reference: reference,
                        tags: tags,
                        contentType: request.headers.first(name: "content-type"),
                        content: content,
                        condition: Conditions.push(request.headers)
                    )
                )
            }
        }
        var headers: HTTPHeaders = [
            "location": "/v2/\(name)/manifests/\(receipt.digest)",
            "docker-content-digest": receipt.digest.description,
        ]
        if let subject = receipt.subject { headers.add(name: "oci-subject", value: subject.description) }
        for tag in tags { headers.add(name: "oci-tag", value: tag.description) }
        for warning in WarningField.values(self.options.notices + receipt.warnings) {
            headers.add(name: "warning", value: warning)
        }
        return HTTPResponse(status: .created, headers: headers)
    }

    private static func tags(_ query: RegistryQuery) throws -> [Tag] {
        let texts = query.all("tag")
        guard texts.count <= Self.maximumTags else {
            throw RegistryError(
                .tagInvalid,
                "\(texts.count) tags; one push may set \(Self.maximumTags)",
                status: .uriTooLong
            )
        }
        do {
            var tags: [Tag] = []
            for tag in try texts.map({ try Tag($0) }) where !tags.contains(tag) { tags.append(tag) }
            return tags
        } catch let error as OCIError {
            throw RegistryError(.tagInvalid, error.message)
        }
    }

    private static func manifestUnknown(_ name: RepositoryName, _ reference: Reference) -> RegistryError {
        RegistryError(
            .manifestUnknown,
            "\(name) has no manifest \(reference)",
            detail: ["name": name.description, "reference": reference.description]
        )
    }
}
