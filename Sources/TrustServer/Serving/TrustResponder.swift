// SPDX-License-Identifier: Apache-2.0

import Database
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NotaryAPI
import Synchronization
import TUF
import TokenAuthentication

/// Answers Notary's HTTP API.
struct TrustResponder: HTTPResponder {
    let collections: Collections
    let keys: OnlineKeys
    let publisher: Publisher
    let refresher: Refresher
    let health: HealthChecks
    let budget: HTTPBodyBudget
    let metrics: RequestMetrics
    /// Nil when everybody may do everything.
    let authorizer: Authorizer?
    let logger: Logger

    private var configuration: TrustServerConfiguration { self.collections.configuration }

    // MARK: From memory

    func immediateResponse(to request: HTTPRequest) -> HTTPResponse? {
        guard request.method == .GET, let path = try? Self.path(of: request),
            (try? self.checkPrefix(of: path, .GET)) != nil
        else { return nil }
        var caller: Caller?
        if let authorizer {
            caller = authorizer.callerInMemory(request, for: AccessRequirement(.GET, path))
            guard caller != nil else { return nil }
        }
        guard var response = self.inMemory(path) else { return nil }
        if let caller { response.logMetadata = caller.logMetadata }
        if let operation = RequestMetrics.Operation(.GET, path) {
            self.metrics.count(operation, .GET, response)
            response.operation = operation.rawValue
        }
        return response
    }

    private func inMemory(_ path: TrustPath) -> HTTPResponse? {
        switch path {
        case .ping: return Self.plain(Array("{}".utf8))
        case .metadata(let gun, let role, .current):
            guard let head = self.collections.headInMemory(of: gun) else { return nil }
            switch role {
            case .timestamp, .snapshot: return self.mayServe(head) ? self.pointerResponse(role, of: head) : nil
            default:
                guard let hash = head.sha256(of: role) else { return Self.missingMetadata.response }
                return self.collections.fileInMemory(role, .sha256(hash), of: gun)?.current
            }
        case .metadata(let gun, let role, let reference):
            return self.collections.fileInMemory(role, reference, of: gun)?.consistent
        default: return nil
        }
    }

    // MARK: With the database and the signer

    func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        let start = ContinuousClock.now
        let path = Result { () throws(NotaryError) in try Self.path(of: request) }
        var response = try await self.authorizedAnswer(to: request, path)
        if let path = try? path.get(), let operation = RequestMetrics.Operation(request.method, path) {
            let received = request.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
            self.metrics.count(operation, request.method, response, (received: received, duration: .now - start))
            response.operation = operation.rawValue
        }
        return response
    }

    private func authorizedAnswer(
        to request: HTTPRequest,
        _ path: Result<TrustPath, NotaryError>
    ) async throws -> HTTPResponse {
        guard let authorizer else { return try await self.answer(to: request, path) }
        let caller: Caller
        do {
            caller = try await authorizer.caller(request, for: AccessRequirement(request.method, try? path.get()))
        } catch {
            return error.response
        }
        var response = try await self.answer(to: request, path)
        response.logMetadata = caller.logMetadata
        return response
    }

    private func answer(
        to request: HTTPRequest,
        _ path: Result<TrustPath, NotaryError>
    ) async throws -> HTTPResponse {
        do {
            let path = try path.get()
            try self.checkPrefix(of: path, request.method)
            return try await self.answerOrRefuse(request, path)
        } catch let error as NotaryError {
            return Self.isKnown(request.method) ? error.response : HTTPResponse(status: .methodNotAllowed)
        }
    }

    /// Methods that Notary's server refuses by path; it answers all others with 405.
    private static func isKnown(_ method: HTTPMethod) -> Bool {
        [.GET, .POST, .PUT, .DELETE, .HEAD].contains(method)
    }

    private func answerOrRefuse(_ request: HTTPRequest, _ path: TrustPath) async throws -> HTTPResponse {
        do {
            guard Self.mayTakeLong(path) else { return try await self.answer(request, path) }
            // Reading a snapshot of megabytes, checking a root and signing take their time: not on the connection's event
            // loop, which serves others too.
            return try await withTaskExecutorPreference(globalConcurrentExecutor) {
                try await self.answer(request, path)
            }
        } catch let error as NotaryError {
            return error.response
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as SignerError where error.code == .unsupportedAlgorithm {
            self.log(error, request)
            return NotaryError(.noKeyAlgorithm, detail: .text(error.message)).response
        } catch let error as SignerError where error.code == .unavailable {
            self.log(error, request)
            return Self.signerUnavailable.response
        } catch {
            self.log(error, request)
            return NotaryError(.unknown, detail: .empty).response
        }
    }

    private static func mayTakeLong(_ path: TrustPath) -> Bool {
        switch path {
        case .metadata(_, _, .current), .key, .changefeed: true
        case .metadata, .collection, .ping, .health, .metrics: false
        }
    }

    private func answer(_ request: HTTPRequest, _ path: TrustPath) async throws -> HTTPResponse {
        switch (request.method, path) {
        case (.GET, .ping): Self.plain(Array("{}".utf8))
        case (.GET, .health): try self.healthResponse()
        case (.GET, .metrics): self.metrics.response
        case (.GET, .metadata(let gun, let role, let reference)): try await self.metadata(role, reference, of: gun)
        case (.GET, .key(let gun, let role)): try await self.key(role, of: gun)
        case (.POST, .key(let gun, let role)):
            Self.plain(KeyResponse.encode(try await self.keys.new(role, of: gun)))
        case (.GET, .changefeed(let gun)):
            Self.plain(
                ChangefeedResponse.encode(
                    try await self.collections.store.changes(ChangefeedQuery(parsing: request.query), of: gun)
                )
            )
        case (.POST, .collection(let gun)): try await self.upload(request, to: gun)
        case (.DELETE, .collection(let gun)): try await self.delete(gun)
        case (let method, _) where !Self.isKnown(method): HTTPResponse(status: .methodNotAllowed)
        default: throw NotaryError(.metadataNotFound)
        }
    }

    /// - Throws: ``NotaryError`` with code `metadataNotFound` or `invalidGUN`.
    private static func path(of request: HTTPRequest) throws(NotaryError) -> TrustPath {
        do {
            return try TrustPath(parsing: request.path)
        } catch {
            guard error.code == .invalidGUN, request.method == .POST else { throw NotaryError(.metadataNotFound) }
            throw NotaryError(.invalidGUN, detail: .text(error.message))
        }
    }

    /// - Throws: ``NotaryError`` with code `metadataNotFound` or `invalidGUN`.
    private func checkPrefix(of path: TrustPath, _ method: HTTPMethod) throws(NotaryError) {
        let prefixes = self.configuration.gunPrefixes
        guard !prefixes.isEmpty, let gun = path.gun, !prefixes.contains(where: { gun.hasPrefix($0) }) else { return }
        guard method == .POST, case .collection = path else { throw NotaryError(.metadataNotFound) }
        throw NotaryError(
            .invalidGUN,
            detail: .text("Require GUNs with prefix: [\(prefixes.joined(separator: " "))]")
        )
    }

    // MARK: Reading

    private func metadata(
        _ role: RoleName,
        _ reference: MetadataReference,
        of gun: GUN
    ) async throws -> HTTPResponse {
        guard reference == .current else {
            guard let file = try await self.collections.file(role, reference, of: gun) else {
                throw Self.missingMetadata
            }
            return file.consistent
        }
        guard var head = try await self.collections.head(of: gun) else { throw Self.missingMetadata }
        switch role {
        case .timestamp, .snapshot:
            if !self.mayServe(head) { head = try await self.refreshed(head) }
            guard let response = self.pointerResponse(role, of: head) else { throw Self.missingMetadata }
            return response
        default:
            guard let file = try await self.collections.file(role, of: head) else { throw Self.missingMetadata }
            return file.current
        }
    }

    /// Whether the timestamp and snapshot can be served without looking for new ones.
    private func mayServe(_ head: CollectionHead) -> Bool {
        let now = self.collections.milliseconds
        return !head.isExpired(at: now) || head.servedAsIsUntil.load(ordering: .relaxed) > now
    }

    private func refreshed(_ head: CollectionHead) async throws -> CollectionHead {
        do {
            guard let newest = try await self.refresher.refreshed(head.gun) else { throw Self.missingMetadata }
            return newest
        } catch let error as SignerError {
            // A timestamp in force is not withheld because the snapshot could not be renewed.
            guard head.timestampPayload.expires >= Expiry(self.collections.now()) else { throw error }
            self.logger.error(
                "a snapshot was not renewed",
                metadata: ["gun": "\(head.gun)", "error": "\(error)"]
            )
            return head
        }
    }

    private func pointerResponse(_ role: RoleName, of head: CollectionHead) -> HTTPResponse? {
        role == .timestamp ? head.timestampResponse : head.snapshotResponse
    }

    private func key(_ role: RoleName, of gun: GUN) async throws -> HTTPResponse {
        let root = try await self.collections.root(of: try await self.collections.head(of: gun))
        return Self.plain(KeyResponse.encode(try await self.keys.current(role, of: gun, root: root?.payload)))
    }

    private func healthResponse() throws -> HTTPResponse {
        let failures = self.health.failures
        return try .json(failures.isEmpty ? .ok : .serviceUnavailable, encoding: failures)
    }

    // MARK: Writing

    private func upload(_ request: HTTPRequest, to gun: GUN) async throws -> HTTPResponse {
        let limit = self.configuration.uploadLimit
        let announced = request.headers.first(name: "Content-Length").flatMap { Int($0) }
        guard announced ?? 0 <= limit else { return self.tooLarge() }
        let contentType = request.headers.first(name: "Content-Type")
        do {
            return try await self.budget.collecting(request.body, upTo: limit) { body in
                // Checking signatures takes its time: not on the connection's event loop, which serves others too.
                try await withTaskExecutorPreference(globalConcurrentExecutor) {
                    let upload = try Upload(
                        Array(body.readableBytesView),
                        contentType: contentType,
                        partLimit: self.configuration.uploadPartLimit
                    )
                    try await self.publish(upload, to: gun, request)
                    return HTTPResponse(status: .ok)
                }
            }
        } catch is HTTPBodyTooLargeError {
            return self.tooLarge()
        } catch is HTTPBodyBudgetError {
            self.publisher.metrics.refused(.unavailable, "busy")
            return HTTPResponse(status: .serviceUnavailable, headers: ["Retry-After": "5"], closesConnection: true)
        } catch {
            throw self.publisher.metrics.rejected(error)
        }
    }

    private func publish(_ upload: Upload, to gun: GUN, _ request: HTTPRequest) async throws {
        do {
            try await self.publisher.publish(upload, to: gun)
        } catch let error as DatabaseError {
            self.logger.error(
                "an upload was not stored",
                metadata: ["gun": "\(gun)", "error": "\(error)", "request": "\(request.name)"]
            )
            throw NotaryError(.updating, detail: .empty)
        } catch let error as SignerError {
            self.logger.error(
                "the signer failed an upload",
                metadata: ["gun": "\(gun)", "error": "\(error)", "request": "\(request.name)"]
            )
            // Where the signer is and what it said is in the log: it is nobody's business outside.
            guard error.code != .unavailable else { throw Self.signerUnavailable }
            throw NotaryError(.validation, "the server could not sign: \(error)")
        }
    }

    private func delete(_ gun: GUN) async throws -> HTTPResponse {
        try await self.collections.locks.withLock(gun) { try await self.collections.delete(gun) }
        return HTTPResponse(status: .ok)
    }

    // MARK: Replies

    func response(toExcess excess: HTTPClientExcess, _ request: HTTPRequest) -> HTTPResponse {
        NotaryError(.tooManyRequests, detail: .text("\(excess)")).response
    }

    private static let signerUnavailable = NotaryError(
        .unavailable,
        detail: .text("the signer cannot be reached; nothing was changed")
    )
    private static let missingMetadata = NotaryError(.metadataNotFound, detail: .empty)

    private func tooLarge() -> HTTPResponse {
        let limit = self.configuration.uploadLimit
        self.publisher.metrics.refused(.malformedUpload, "size")
        var response = NotaryError(
            .malformedUpload,
            detail: .text("an upload may have \(limit) bytes, all files together")
        ).response
        response.closesConnection = true
        return response
    }

    private static func plain(_ body: [UInt8]) -> HTTPResponse {
        HTTPResponse(
            status: .ok,
            headers: ["Content-Type": "text/plain; charset=utf-8"],
            body: .bytes(ByteBuffer(bytes: body))
        )
    }

    private func log(_ error: any Error, _ request: HTTPRequest) {
        self.logger.error(
            "a request failed",
            metadata: [
                "method": "\(request.method)", "path": "\(request.path.prefix(512))", "error": "\(error)",
                "request": "\(request.name)",
            ]
        )
    }
}

extension HTTPRequest {
    /// What the log calls it.
    fileprivate var name: String { self.id.map { "\($0)" } ?? "-" }
}

extension TrustPath {
    /// The collection concerned; nil when it is none, or all.
    var gun: GUN? {
        switch self {
        case .ping, .health, .metrics: nil
        case .changefeed(let gun): gun
        case .collection(let gun), .metadata(let gun, _, _), .key(let gun, _): gun
        }
    }
}
