// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
package import OCI

/// A manifest as it came: the exact bytes, and what they are.
package struct FetchedManifest: Sendable, Hashable {
    /// Media type, digest and size.
    package let descriptor: Descriptor
    /// The bytes that have the digest.
    package let bytes: [UInt8]

    package init(descriptor: Descriptor, bytes: [UInt8]) {
        self.descriptor = descriptor
        self.bytes = bytes
    }

    /// What the manifest says.
    /// - Throws: `OCIError`.
    package func parse() throws -> Manifest {
        try Manifest(parsing: self.bytes, mediaType: self.descriptor.mediaType)
    }
}

/// What a registry says it has done with a manifest.
package struct ManifestReceipt: Sendable, Hashable {
    /// It lists the manifest among the referrers of its subject. If not, clients keep that list themselves, under a tag.
    package let hasListedSubject: Bool
    /// It took the tag that came with a digest.
    package let hasTagged: Bool
}

extension RegistryClient {
    /// What a tag or digest means at the moment, without the manifest if the registry can tell.
    /// - Throws: ``RegistryError``, `notFound` when there is none.
    package func headManifest(_ repository: RepositoryName, _ reference: Reference) async throws -> Descriptor {
        let response = try await self.send(self.manifestRequest(.HEAD, repository, reference))
        guard response.status == .ok else {
            throw try await self.error(response, "looking for the manifest \(repository) \(reference)")
        }
        guard let digest = try response.headers.first(name: "Docker-Content-Digest").map({ try Digest($0) }),
            let type = response.headers.first(name: "Content-Type"),
            let size = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }), size > 0
        else {
            return try await self.getManifest(repository, reference).descriptor
        }
        if let wanted = reference.digest, wanted != digest {
            throw RegistryError(.digestMismatch, "\(self.registry) has \(digest) where \(wanted) was asked for")
        }
        return Descriptor(mediaType: MediaType(contentType: type), digest: digest, size: size)
    }

    /// Whether a repository has a manifest.
    /// - Throws: ``RegistryError``.
    package func hasManifest(_ repository: RepositoryName, _ digest: Digest) async throws -> Bool {
        let response = try await self.send(self.manifestRequest(.HEAD, repository, .digest(digest)))
        switch response.status {
        case .ok: return true
        case .notFound: return false
        default: throw try await self.error(response, "looking for the manifest \(repository) \(digest)")
        }
    }

    /// A manifest, of which the digest is checked when it is asked for by digest.
    /// - Parameter size: what the descriptor that led here says; more or less is refused.
    /// - Throws: ``RegistryError``, `notFound` when there is none, `digestMismatch` for other content.
    package func getManifest(
        _ repository: RepositoryName,
        _ reference: Reference,
        size: Int64? = nil
    ) async throws -> FetchedManifest {
        let request = self.manifestRequest(.GET, repository, reference)
        let action = "fetching the manifest \(repository) \(reference)"
        var attempt = 1
        while true {
            let response = try await self.send(request)
            guard response.status == .ok else { throw try await self.error(response, action) }
            do {
                let bytes = try await self.manifestBody(response, action, size)
                return try self.check(bytes, response, reference)
            } catch let error as RegistryError where error.code == .unreachable {
                guard attempt < self.configuration.maximumAttempts else { throw error }
                try await self.pause(attempt)
                attempt += 1
            }
        }
    }

    /// Stores a manifest under a tag or its digest.
    /// - Parameters:
    ///   - repository: where to.
    ///   - reference: what to call it.
    ///   - tag: with a digest as `reference`, a name besides, for registries that take both at once.
    ///   - bytes: the exact bytes.
    ///   - mediaType: what they are.
    /// - Returns: what the registry says it has done.
    /// - Throws: ``RegistryError``.
    @discardableResult
    package func putManifest(
        _ repository: RepositoryName,
        _ reference: Reference,
        tag: Tag? = nil,
        bytes: [UInt8],
        mediaType: MediaType
    ) async throws -> ManifestReceipt {
        let request = RegistryRequest(
            .PUT,
            "/v2/\(repository)/manifests/\(reference)" + (tag.map { "?tag=\($0)" } ?? ""),
            scopes: Self.scopes(repository, "pull,push"),
            headers: ["Content-Type": mediaType.rawValue],
            body: .bytes(ByteBuffer(bytes: bytes)),
            isRepeatable: true
        )
        let response = try await self.send(request)
        guard response.status == .created || response.status == .ok || response.status == .accepted else {
            throw try await self.error(response, "storing the manifest \(repository) \(reference)")
        }
        let receipt = ManifestReceipt(
            hasListedSubject: response.headers.contains(name: "OCI-Subject"),
            hasTagged: response.headers.contains(name: "OCI-Tag")
        )
        guard let text = response.headers.first(name: "Docker-Content-Digest"), let stored = try? Digest(text) else {
            return receipt
        }
        let own = Digest(hashing: bytes, algorithm: stored.algorithm)
        guard stored == own else {
            throw RegistryError(.digestMismatch, "\(self.registry) stored \(stored), but \(own) was sent")
        }
        return receipt
    }

    /// Removes a tag, or a manifest with all its tags.
    /// - Throws: ``RegistryError``, `notFound` when there is none.
    package func deleteManifest(_ repository: RepositoryName, _ reference: Reference) async throws {
        let path = "/v2/\(repository)/manifests/\(reference)"
        try await self.delete(path, in: repository, "deleting the manifest \(repository) \(reference)")
    }

    static func scopes(_ repository: RepositoryName, _ actions: String) -> [String] {
        ["repository:\(repository):\(actions)"]
    }

    private func manifestRequest(
        _ method: HTTPMethod,
        _ repository: RepositoryName,
        _ reference: Reference
    ) -> RegistryRequest {
        RegistryRequest(
            method,
            "/v2/\(repository)/manifests/\(reference)",
            scopes: Self.scopes(repository, "pull"),
            headers: ["Accept": MediaType.manifests.map(\.rawValue).joined(separator: ", ")]
        )
    }

    private func manifestBody(_ response: RegistryResponse, _ action: String, _ size: Int64?) async throws -> [UInt8] {
        let limit = size.map { min($0, Int64(Manifest.maximumSize)) } ?? Int64(Manifest.maximumSize)
        var bytes: [UInt8] = []
        try await response.read { buffer in
            guard Int64(buffer.readableBytes) <= limit - Int64(bytes.count) else {
                throw RegistryError(
                    .digestMismatch,
                    "\(self.registry): \(action): more than the \(limit) bytes expected"
                )
            }
            bytes.append(contentsOf: buffer.readableBytesView)
        }
        guard size == nil || size == Int64(bytes.count) else {
            throw RegistryError(.digestMismatch, "\(self.registry): \(action): \(bytes.count) bytes, expected \(limit)")
        }
        return bytes
    }

    private func check(
        _ bytes: [UInt8],
        _ response: RegistryResponse,
        _ reference: Reference
    ) throws -> FetchedManifest {
        let claimed = response.headers.first(name: "Docker-Content-Digest").flatMap { try? Digest($0) }
        let expected = reference.digest ?? claimed
        let digest = Digest(hashing: bytes, algorithm: expected?.algorithm ?? .sha256)
        if let expected, expected != digest {
            throw RegistryError(
                .digestMismatch,
                "\(self.registry) sent a manifest with the digest \(digest) where it should be \(expected)"
            )
        }
        let type: MediaType
        if let field = response.headers.first(name: "Content-Type"), MediaType(contentType: field).isManifest {
            type = MediaType(contentType: field)
        } else {
            type = try Manifest(parsing: bytes, mediaType: nil).mediaType
        }
        return FetchedManifest(
            descriptor: Descriptor(mediaType: type, digest: digest, size: Int64(bytes.count)),
            bytes: bytes
        )
    }
}
