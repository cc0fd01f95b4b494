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
        guard let size = try await self.size(of: digest, in: name) else { throw Self.blobUnknown(digest) }
        let whole = Self.blobResponse(digest, body: .absent(length: size))
        if Conditions.isUnchanged(digest, request.headers) { return Self.unchanged(whole) }
        if request.method == .HEAD {
            try await self.noteSeen(digest)
            return whole
        }
        switch Self.range(request.headers, digest: digest, size: size) {
        case .unsatisfiable:
            throw RegistryError(
                .rangeInvalid,
                "the blob has \(size) bytes",
                headers: ["content-range": "bytes */\(size)"]
            )
        case .whole:
            return try await Self.blobResponse(digest, body: self.body(of: digest, size, 0..<size, in: name))
        case .part(let range):
            var response = try await Self.blobResponse(digest, body: self.body(of: digest, size, range, in: name))
            response.status = .partialContent
            response.headers.add(
                name: "content-range",
                value: "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
            )
            return response
        }
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

    /// The size of a blob that the repository has, and whose bytes are there; nil for any other. A blob without bytes
    /// counts as missing, so that clients push it again instead of relying on it.
    private func size(of digest: Digest, in name: RepositoryName) async throws -> Int64? {
        let path = "/v2/\(name)/blobs/\(digest)"
        if case .blob(_, let size) = self.cache[path]?.content { return size }
        let generation = self.cache.generation(of: name)
        guard let blob = try await self.store.blob(digest, in: name) else { return nil }
        let stored = try await self.blobs.blobSize(digest)
        guard stored == blob.size else {
            self.reportDamage(digest, expected: blob.size, found: stored)
            return nil
        }
        self.cache.insert(.blob(digest, size: blob.size), digest: digest, path: path, size: 0, generation: generation)
        return blob.size
    }

    private func body(
        of digest: Digest,
        _ size: Int64,
        _ range: Range<Int64>,
        in name: RepositoryName
    ) async throws -> HTTPResponse.Body {
        if let body = try await self.blobs.body(of: digest, size: size, range: range) { return body }
        self.cache.invalidate(name)
        self.reportDamage(digest, expected: size, found: nil)
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

    private func noteSeen(_ digest: Digest) async throws {
        while !self.seen.note(digest, at: self.clock()) { try await self.seen.flush() }
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
