// SPDX-License-Identifier: Apache-2.0

import HTTPService
import Logging
import NIOHTTP1
import OCI

extension RegistryResponder {
    func blob(_ name: RepositoryName, _ digest: Digest, _ request: HTTPRequest) async throws -> HTTPResponse {
        if request.method == .DELETE {
            let removed = try await self.changing(name) { try await self.store.removeBlob(digest, from: name) }
            guard removed else { throw Self.blobUnknown(digest) }
            return HTTPResponse(status: .accepted)
        }
        guard let blob = try await self.known(digest, in: name) else { throw Self.blobUnknown(digest) }
        let size = blob.size
        let whole = Self.blobResponse(digest, body: .absent(length: size))
        if Conditions.isUnchanged(digest, request.headers) { return Self.unchanged(whole) }
        if request.method == .HEAD { return whole }
        if let url = try await self.blobs.redirection(to: blob.location) { return Self.redirection(digest, to: url) }
        switch Self.range(request.headers, digest: digest, size: size) {
        case .unsatisfiable:
            throw RegistryError(
                .rangeInvalid,
                "the blob has \(size) bytes",
                headers: ["content-range": "bytes */\(size)"]
            )
        case .whole:
            return try await Self.blobResponse(digest, body: self.body(of: digest, blob, 0..<size, in: name))
        case .part(let range):
            var response = try await Self.blobResponse(digest, body: self.body(of: digest, blob, range, in: name))
            response.status = .partialContent
            response.headers.add(
                name: "content-range",
                value: "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
            )
            return response
        case .parts(let ranges):
            let parts = MultipartRanges(ranges, size: size, boundary: MultipartRanges.randomBoundary())
            let body = parts.body(threads: self.manifests.threads) { range in
                try await self.body(of: digest, blob, range, in: name)
            }
            var response = Self.blobResponse(digest, body: body)
            response.status = .partialContent
            response.headers.replaceOrAdd(name: "content-type", value: parts.contentType)
            return response
        }
    }

    /// Sends a client to where the bytes are. The URL is good for a while and for this client only: nobody may keep it.
    private static func redirection(_ digest: Digest, to url: String) -> HTTPResponse {
        HTTPResponse(
            status: .temporaryRedirect,
            headers: [
                "location": url,
                "docker-content-digest": digest.description,
                "cache-control": "no-store",
                self.versionField.name: self.versionField.value,
            ]
        )
    }

    static func blobResponse(_ digest: Digest, body: HTTPResponse.Body) -> HTTPResponse {
        let text = digest.description
        return HTTPResponse(
            status: .ok,
            headers: [
                "content-type": "application/octet-stream",
                "docker-content-digest": text,
                "etag": "\"\(text)\"",
                "cache-control": "max-age=31536000",
                "accept-ranges": "bytes",
                "x-content-type-options": "nosniff",
                self.versionField.name: self.versionField.value,
            ],
            body: body
        )
    }

    static func blobUnknown(_ digest: Digest) -> RegistryError {
        RegistryError(
            .blobUnknown,
            "\(digest) is not in this repository",
            detail: ["digest": digest.description]
        )
    }

    /// A blob that the repository has, and whose bytes are there; nil for any other. A blob without bytes counts as missing, so
    /// that clients push it again instead of relying on it.
    private func known(_ digest: Digest, in name: RepositoryName) async throws -> StoredBlob? {
        let path = "/v2/\(name)/blobs/\(digest)"
        if case .blob(_, let blob) = self.cache.entry(path, seenSince: self.seen.threshold)?.content { return blob }
        let generation = self.cache.generation(of: name)
        guard let blob = try await self.store.blob(digest, in: name) else { return nil }
        let stored = try await self.blobs.size(at: blob.location)
        guard stored == blob.size else {
            self.reportDamage(digest, expected: blob.size, found: stored)
            return nil
        }
        guard let seenAt = try await self.seen.see(blob, digest, in: name) else { return nil }
        self.cache.insert(
            .blob(digest, blob),
            digest: digest,
            path: path,
            size: 0,
            seenAt: seenAt,
            generation: generation
        )
        return blob
    }

    private func body(
        of digest: Digest,
        _ blob: StoredBlob,
        _ range: Range<Int64>,
        in name: RepositoryName
    ) async throws -> HTTPResponse.Body {
        if let body = try await self.blobs.body(at: blob.location, size: blob.size, range: range) { return body }
        self.cache.invalidate(name)
        self.reportDamage(digest, expected: blob.size, found: nil)
        throw Self.blobUnknown(digest)
    }

    private func reportDamage(_ digest: Digest, expected: Int64, found: Int64?) {
        self.logger.error(
            "the bytes of a blob are missing or damaged; push it again",
            metadata: [
                "digest": "\(digest)", "expected": "\(expected)", "found": "\(found.map(String.init) ?? "nothing")",
            ]
        )
    }

    private static func range(_ headers: HTTPHeaders, digest: Digest, size: Int64) -> ByteRange.Request {
        // A condition on another version of the content: then everything (RFC 9110, section 13.1.5).
        if let condition = headers.first(name: "if-range"), condition != "\"\(digest)\"" { return .whole }
        return ByteRange.request(headers.first(name: "range"), size: size)
    }

    /// Runs a change of a repository, so that what it makes untrue is not served from memory once it is acknowledged. A
    /// change that failed may still have been done.
    func changing<Result: Sendable>(
        _ name: RepositoryName,
        _ change: () async throws -> Result
    ) async throws -> Result {
        defer { self.cache.invalidate(name) }
        return try await change()
    }
}
