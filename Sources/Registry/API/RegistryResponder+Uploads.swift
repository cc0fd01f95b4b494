// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOHTTP1
import OCI
import TokenAuthentication

extension RegistryResponder {
    // MARK: - Start

    func startUpload(
        _ name: RepositoryName,
        _ query: RegistryQuery,
        _ request: HTTPRequest,
        caller: Caller?
    ) async throws -> HTTPResponse {
        if let digest = query["mount"], try await self.mount(digest, query, to: name, caller: caller) {
            return try Self.created(name, Self.digest(digest))
        }
        if query["mount"] == nil, let text = query["digest"] {
            let digest = try Self.digest(text)
            let content = try Self.content(request)
            // A client that only announces the digest sends its bytes to the session.
            if content.length != 0 || digest == Digest(hashing: [], algorithm: digest.algorithm) {
                try await self.uploads.upload(content, to: name, as: digest)
                return Self.created(name, digest)
            }
        }
        let algorithm = try query["digest-algorithm"].map { text in
            guard let algorithm = Digest.Algorithm(rawValue: text) else {
                throw RegistryError(.digestInvalid, "digests may be of sha256 or sha512")
            }
            return algorithm
        }
        let key = try await self.uploads.start(in: name, algorithm: algorithm)
        return HTTPResponse(status: .accepted, headers: Self.state(of: key, offset: 0))
    }

    /// False for whatever is wrong, and for a source that the client may not read: the client uploads then.
    private func mount(
        _ digest: String,
        _ query: RegistryQuery,
        to name: RepositoryName,
        caller: Caller?
    ) async throws -> Bool {
        guard let digest = try? Digest(digest) else { return false }
        guard let from = query["from"] else {
            guard self.options.allowsAnonymousMount else { return false }
            guard self.authorizer != nil else { return try await self.uploads.mount(digest, from: nil, to: name) }
            guard let source = try await self.readableSource(of: digest, caller) else { return false }
            return try await self.uploads.mount(digest, from: source, to: name)
        }
        guard let source = try? RepositoryName(from) else { return false }
        if self.authorizer != nil {
            guard let caller, caller.may(.repository(source.description, "pull")) else { return false }
        }
        return try await self.uploads.mount(digest, from: source, to: name)
    }

    /// How many repositories of a token are looked through for a blob.
    private static let maximumSources = 64

    /// A repository that has the blob, among those that the caller's token may pull from.
    private func readableSource(of digest: Digest, _ caller: Caller?) async throws -> RepositoryName? {
        for text in caller?.repositories(granting: "pull").prefix(Self.maximumSources) ?? [] {
            guard let source = try? RepositoryName(text) else { continue }
            if try await self.store.blob(digest, in: source) != nil { return source }
        }
        return nil
    }

    // MARK: - Session

    func upload(_ key: UploadKey, _ query: RegistryQuery, _ request: HTTPRequest) async throws -> HTTPResponse {
        do {
            switch request.method {
            case .PATCH:
                let offset = try await self.uploads.append(Self.content(request), to: key)
                return HTTPResponse(status: .accepted, headers: Self.state(of: key, offset: offset))
            case .PUT:
                let digest = try Self.digest(query["digest"])
                try await self.uploads.finish(Self.content(request), of: key, as: digest)
                return Self.created(key.repository, digest)
            case .DELETE:
                try await self.uploads.cancel(key)
                return HTTPResponse(status: .noContent, headers: ["docker-upload-uuid": key.id.description])
            default:
                let offset = try await self.uploads.offset(key)
                return HTTPResponse(status: .noContent, headers: Self.state(of: key, offset: offset))
            }
        } catch let error as RegistryError where error.code == .rangeInvalid {
            // Says where the upload is, which is what the client asks next.
            let offset = try await self.uploads.offset(key)
            throw error.adding(Self.state(of: key, offset: offset))
        }
    }

    private static func content(_ request: HTTPRequest) throws -> UploadService.Content {
        let range = try request.headers.first(name: "content-range").map { field in
            guard let range = ByteRange.chunk(field) else {
                throw RegistryError(.rangeInvalid, "Content-Range must be <first>-<last>, it is \(field.prefix(80))")
            }
            return range
        }
        return UploadService.Content(body: request.body, range: range, length: self.contentLength(request.headers))
    }

    /// The fields that tell where a session is. `Range` is inclusive and cannot say "nothing": `0-0` stands for that, too.
    private static func state(of key: UploadKey, offset: Int64) -> HTTPHeaders {
        [
            "location": "/v2/\(key.repository)/blobs/uploads/\(key.id)",
            "range": "0-\(max(0, offset - 1))",
            "docker-upload-uuid": key.id.description,
        ]
    }

    private static func created(_ name: RepositoryName, _ digest: Digest) -> HTTPResponse {
        HTTPResponse(
            status: .created,
            headers: [
                "location": "/v2/\(name)/blobs/\(digest)",
                "docker-content-digest": digest.description,
            ]
        )
    }
}
