// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import FoundationEssentials
package import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import OCI
import S3Client
import TokenAuthentication

/// Answers the OCI distribution 1.1 and Docker registry v2 API.
package struct RegistryResponder: HTTPResponder {
    /// What the responder allows.
    struct Options: Sendable {
        var allowsDelete: Bool
        var allowsWrites: Bool
        var allowsAnonymousMount: Bool
        /// What clients that begin or push are told.
        var notices: [String]
    }

    let options: Options
    let store: RegistryStore
    let blobs: any BlobStore
    let uploads: UploadService
    let manifests: ManifestService
    let manifestBudget: HTTPBodyBudget
    let cache: ResponseCache
    let seen: SeenTimes
    /// Nil when everybody may do everything.
    let authorizer: Authorizer?
    let clock: @Sendable () -> Date
    let logger: Logger

    // MARK: - Hot reads

    package func immediateResponse(to request: HTTPRequest) -> HTTPResponse? {
        guard request.method == .GET || request.method == .HEAD,
            let entry = self.cache.entry(request.path, seenSince: self.seen.threshold)
        else { return nil }
        var caller: Caller?
        if let authorizer {
            let needed = AccessEntry.repository(entry.repository.description, "pull")
            caller = authorizer.callerInMemory(request, for: .entry(needed))
            guard caller != nil else { return nil }
        }
        var response: HTTPResponse
        switch entry.content {
        case .manifest(let whole):
            guard !Self.isNegotiated(whole) || !AcceptedTypes(request.headers).needsImageInsteadOfList else {
                return nil
            }
            response = whole
        case .blob(let digest, let blob):
            guard request.method == .HEAD else { return nil }
            response = Self.blobResponse(digest, body: .absent(length: blob.size))
        }
        if Conditions.isUnchanged(entry.digest, request.headers) { response = Self.unchanged(response) }
        if let caller { response.logMetadata = caller.logMetadata }
        response.operation = entry.operation(request.method)
        self.notePull(request, response, caller: caller)
        return response
    }

    // MARK: - Everything

    package func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        var response = await self.authorizedAnswer(to: request)
        response.headers.replaceOrAdd(name: Self.versionField.name, value: Self.versionField.value)
        return response
    }

    static let versionField = (name: "docker-distribution-api-version", value: "registry/2.0")

    private func authorizedAnswer(to request: HTTPRequest) async -> HTTPResponse {
        let path = Result { try RegistryPath(request.path) }
        let operation = (try? path.get())?.operation(request.method) ?? "other"
        var response = await self.authorizedAnswer(to: request, path)
        response.operation = operation
        return response
    }

    private func authorizedAnswer(
        to request: HTTPRequest,
        _ path: Result<RegistryPath, any Error>
    ) async -> HTTPResponse {
        let query = RegistryQuery(request.query)
        guard let authorizer else { return await self.answer(to: request, path, query, caller: nil) }
        let caller: Caller
        do {
            let requirement = AccessRequirement(request.method, try? path.get(), query)
            caller = try await authorizer.caller(request, for: requirement)
        } catch {
            return error.response
        }
        var response = await self.answer(to: request, path, query, caller: caller)
        response.logMetadata = caller.logMetadata
        return response
    }

    private func answer(
        to request: HTTPRequest,
        _ path: Result<RegistryPath, any Error>,
        _ query: RegistryQuery,
        caller: Caller?
    ) async -> HTTPResponse {
        guard let proxies = self.store.events?.configuration.trustedProxies else {
            return await self.plainAnswer(to: request, path, query, caller: caller)
        }
        return await EventOrigin.$current.withValue(EventOrigin(request, actor: caller?.subject, proxies: proxies)) {
            let response = await self.plainAnswer(to: request, path, query, caller: caller)
            self.notePull(request, response)
            return response
        }
    }

    private func plainAnswer(
        to request: HTTPRequest,
        _ path: Result<RegistryPath, any Error>,
        _ query: RegistryQuery,
        caller: Caller?
    ) async -> HTTPResponse {
        do {
            return try await self.route(request, path.get(), query, caller: caller)
        } catch {
            return self.response(for: error, to: request)
        }
    }

    private func route(
        _ request: HTTPRequest,
        _ path: RegistryPath,
        _ query: RegistryQuery,
        caller: Caller?
    ) async throws -> HTTPResponse {
        guard path.allowedMethods.contains(request.method) else {
            throw RegistryError(
                .unsupported,
                "\(request.method) does not go with this path",
                headers: ["allow": path.allowedMethods.map(\.rawValue).joined(separator: ", ")]
            )
        }
        try self.checkAllowed(request.method, path)
        switch path {
        case .base: return self.base()
        case .catalog: return try await self.catalog(query)
        case .tags(let name): return try await self.tags(name, query)
        case .referrers(let name, let digest): return try await self.referrers(name, digest, query)
        case .blob(let name, let digest): return try await self.blob(name, digest, request)
        case .manifest(let name, let reference): return try await self.manifest(name, reference, query, request)
        case .uploads(let name): return try await self.startUpload(name, query, request, caller: caller)
        case .upload(let name, let id):
            return try await self.upload(UploadKey(repository: name, id: id), query, request)
        }
    }

    private func checkAllowed(_ method: HTTPMethod, _ path: RegistryPath) throws {
        guard method != .GET, method != .HEAD else { return }
        guard self.options.allowsWrites else {
            throw RegistryError(.unsupported, "this registry is read-only")
        }
        // Who cancels an upload deletes nothing that anybody could pull.
        if case .upload = path { return }
        guard method != .DELETE || self.options.allowsDelete else {
            throw RegistryError(.unsupported, "this registry does not delete")
        }
    }

    private func base() -> HTTPResponse {
        var response = Self.json([String: String]())
        for warning in WarningField.values(self.options.notices) {
            response.headers.add(name: "warning", value: warning)
        }
        return response
    }

    package func response(toExcess excess: HTTPClientExcess, _ request: HTTPRequest) -> HTTPResponse {
        var response = RegistryError(.tooManyRequests, "\(excess)").response
        response.headers.replaceOrAdd(name: Self.versionField.name, value: Self.versionField.value)
        return response
    }

    // MARK: - Errors

    /// What is over after a while. Whatever was asked for may be asked for again.
    private static let passing: Set<DatabaseError.Code> = [.unavailable, .serializationFailure, .unknownOutcome]

    /// The reply that tells of an error. What is nobody's business outside goes to the log only.
    private func response(for error: any Error, to request: HTTPRequest) -> HTTPResponse {
        let known: RegistryError
        switch error {
        case let error as RegistryError:
            known = error
        case let error as HTTPBodyTooLargeError:
            known = RegistryError(.sizeInvalid, "\(error)", status: .payloadTooLarge)
        case let error as HTTPBodyBudgetError:
            known = RegistryError(.tooManyRequests, "\(error)", headers: ["retry-after": "1"])
        case let error as DatabaseError where error.code == .storageFull:
            known = Self.noSpace
        case let error as DatabaseError where Self.passing.contains(error.code):
            known = Self.tryAgain
        case let error as FileSystemError where error.isOutOfSpace:
            known = Self.noSpace
        case let error as FileSystemError where error.isOutOfDescriptors:
            known = Self.tryAgain
        case let error as S3Error where error.isTemporary:
            known = Self.tryAgain
        case is CancellationError:
            known = Self.tryAgain
        default:
            known = RegistryError(.unknown, "the registry failed; its log says why")
        }
        if known.status.code >= 500 {
            self.logger.error(
                "request failed",
                metadata: [
                    "method": "\(request.method)", "path": "\(request.path)", "error": "\(error)",
                    "request": "\(request.id.map { "\($0)" } ?? "-")",
                ]
            )
        }
        return known.response
    }

    private static var noSpace: RegistryError {
        RegistryError(
            .unavailable,
            "the registry has no space left; nothing was stored",
            status: .insufficientStorage
        )
    }

    private static var tryAgain: RegistryError {
        RegistryError(.unavailable, "the registry cannot do this now; try again", headers: ["retry-after": "1"])
    }

    // MARK: - Building blocks

    static func json(_ value: some Encodable) -> HTTPResponse { self.json(RegistryJSON.encode(value)) }

    static func json(_ body: ByteBuffer, contentType: String = "application/json") -> HTTPResponse {
        HTTPResponse(
            status: .ok,
            headers: ["content-type": contentType, "x-content-type-options": "nosniff"],
            body: .bytes(body)
        )
    }

    /// The same without its body, for a client that has the content.
    static func unchanged(_ response: HTTPResponse) -> HTTPResponse {
        var response = response
        response.status = .notModified
        response.body = .empty
        return response
    }

    /// - Throws: ``RegistryError`` with code `digestInvalid`.
    static func digest(_ text: String?) throws -> Digest {
        guard let text else { throw RegistryError(.digestInvalid, "the request needs ?digest=<algorithm>:<hex>") }
        return try RegistryPath.digest(text)
    }

    /// `Content-Length` as a number; nil without one.
    static func contentLength(_ headers: HTTPHeaders) -> Int64? {
        headers.first(name: "content-length").flatMap { Int64($0) }
    }
}
