// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
package import FoundationEssentials
package import HTTPAccess
package import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import PercentEncoding

/// Stores objects in one bucket of Amazon S3, or of what speaks its protocol: Ceph's gateway, MinIO and others.
///
/// Requests are repeated after connection errors, 5xx and calls to slow down, with growing waits: all of them may be, as
/// their bodies are in memory and writing the same object twice leaves it as it is. Every reply is bounded. Call
/// ``shutdown()`` at the end.
package final class S3Client: Sendable {
    /// The most bytes of a reply that is not an object.
    static let maximumReplySize = 8 << 20
    /// How long a `CompleteMultipartUpload` may take: the storage may join the parts before it answers.
    static let completionTimeout: TimeAmount = .minutes(10)

    /// Bucket, place and times.
    package let configuration: S3Configuration
    let logger: Logger
    private let address: S3Address
    private let credentials: S3CredentialStore
    private let clock: @Sendable () -> Date
    private let http: HTTPClient
    /// For requests of which the storage may say nothing for long.
    private let patientHTTP: HTTPClient
    private let gate: RequestGate
    /// For bodies that go to clients, which take them as slowly as they like: nothing else waits for those.
    private let servingGate: RequestGate
    private static let servedPerRequest = 8

    /// Prepares a client; no connection is made.
    /// - Parameters:
    ///   - configuration: bucket, place and times.
    ///   - credentials: what requests are signed with.
    ///   - logger: gets a debug line for each repetition.
    ///   - clock: the time that signatures carry.
    /// - Throws: ``S3Error`` with code `configuration`.
    package init(
        _ configuration: S3Configuration,
        credentials: S3CredentialSource,
        logger: Logger,
        clock: @escaping @Sendable () -> Date = { Date() }
    ) throws {
        self.configuration = configuration
        self.credentials = S3CredentialStore(credentials)
        self.logger = logger
        self.clock = clock
        self.address = try S3Address(configuration)
        let limit = min(max(configuration.maximumRequests, 1), 1 << 16)
        self.gate = RequestGate(limit: limit)
        self.servingGate = RequestGate(limit: limit * Self.servedPerRequest)
        var http = HTTPClient.Configuration.plainSpoken(
            tls: .client(trusting: configuration.additionalTrustRoots),
            connect: configuration.connectTimeout,
            read: configuration.readTimeout
        )
        http.proxy = configuration.proxies.proxy(for: self.address.url(nil, query: ""))
        // The gates decide how many run.
        http.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = limit * (Self.servedPerRequest + 1)
        self.http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: http)
        http.timeout.read = Self.completionTimeout
        self.patientHTTP = HTTPClient(eventLoopGroupProvider: .singleton, configuration: http)
    }

    /// Closes all connections; the client cannot be used afterwards.
    package func shutdown() async throws {
        try await self.http.shutdown()
        try await self.patientHTTP.shutdown()
    }

    /// A URL at which anybody may GET an object for a while.
    /// - Parameters:
    ///   - key: the object's key.
    ///   - seconds: how long the URL is good for; a week at most.
    ///   - endpoint: where clients reach the storage, if not where this client does.
    /// - Throws: ``S3Error`` with code `configuration`.
    package func presignedURL(_ key: String, expiresIn seconds: Int, endpoint: HTTPURL? = nil) async throws -> HTTPURL {
        var address = self.address
        if let endpoint {
            var configuration = self.configuration
            configuration.endpoint = endpoint
            configuration.addressing = self.address.addressing
            address = try S3Address(configuration)
        }
        let signature = S3Signature(
            credentials: try await self.credentials.current(),
            region: self.configuration.region,
            time: self.clock()
        )
        let query = signature.presignedQuery(host: address.host, path: address.path(key), expiresIn: seconds)
        return address.url(key, query: query)
    }
}

/// A request before it is signed.
struct S3Request: Sendable {
    let method: HTTPMethod
    /// Nil for the bucket itself.
    let key: String?
    var query: [(name: String, value: String)] = []
    var headers = HTTPHeaders()
    var body: S3Payload?
    /// What is being done, for errors: "writing".
    let action: String
    /// How long the head of the reply may take.
    var timeout: TimeAmount = .seconds(60)
    /// Whether the reply's body goes to a client as it comes.
    var isServed = false

    /// A request with a body of XML, whose MD5 some operations demand.
    mutating func setXML(_ text: String) throws {
        var payload = S3Payload(.md5)
        try Array(text.utf8).withUnsafeBytes { try payload.append(copying: $0) }
        self.headers.replaceOrAdd(name: "Content-Type", value: "application/xml")
        self.body = payload
    }
}

/// A reply whose body has not been read, with the right to run that the request has.
struct S3Reply: Sendable {
    let status: HTTPResponseStatus
    let headers: HTTPHeaders
    fileprivate let response: HTTPClientResponse
    private let permit: RequestGate.Permit

    fileprivate init(_ response: HTTPClientResponse, _ permit: RequestGate.Permit) {
        self.status = response.status
        self.headers = response.headers
        self.response = response
        self.permit = permit
    }

    typealias Iterator = HTTPClientResponse.Body.AsyncIterator

    /// The body as it comes. The reply must be kept as long.
    var body: HTTPClientResponse.Body { self.response.body }

    /// Lets another request run: the rest of the body is not wanted.
    func giveBack() { self.permit.giveBack() }
}

extension S3Client {
    /// Sends a request, again if it must.
    /// - Returns: a reply that says that it was done; its body may say otherwise, where the protocol is so.
    /// - Throws: ``S3Error``, `CancellationError`.
    func send(_ request: S3Request) async throws -> S3Reply {
        try await self.repeating(request) { _ in }.reply
    }

    /// Sends a request and reads the whole reply, again if it must.
    /// - Parameters:
    ///   - root: the element that the protocol names.
    ///   - other: another one that storage is known to send in its place.
    /// - Throws: ``S3Error``; `invalidReply` when the reply is too long or not XML.
    func sendForXML(_ request: S3Request, expecting root: String, or other: String? = nil) async throws -> XMLNode {
        let (_, document) = try await self.repeating(request) { reply in
            let document = try await self.document(reply, request)
            // Some operations begin to answer before they know how they end.
            if let error = S3ErrorDocument(document) { throw self.error(reply.status.code, error, request) }
            guard document.name == root || document.name == other else {
                throw self.invalid(request, "the reply is a \(document.name.printable(limit: 60)), not a \(root)")
            }
            return document
        }
        return document
    }

    /// Sends a request whose reply has no body of interest, and waits for its end.
    @discardableResult
    func sendForHead(_ request: S3Request) async throws -> S3Reply {
        try await self.repeating(request) { _ = try await self.collect($0, request) }.reply
    }

    private func repeating<Value: Sendable>(
        _ request: S3Request,
        _ read: (S3Reply) async throws -> Value
    ) async throws -> (reply: S3Reply, value: Value) {
        let start = ContinuousClock.now
        var attempt = 1
        var mayReadCredentials = true
        var isRejected = false
        while true {
            let failure: S3Error
            do {
                let reply = try await self.once(request, isRejected: isRejected)
                if (200..<300).contains(reply.status.code) { return (reply, try await read(reply)) }
                failure = await self.error(of: reply, request)
            } catch let error as S3Error {
                failure = error
            }
            if failure.code == .accessDenied, mayReadCredentials, case .file = self.source {
                (mayReadCredentials, isRejected) = (false, true)
                continue
            }
            let wait = self.wait(attempt)
            guard failure.isTemporary, attempt < self.configuration.maximumAttempts,
                start.duration(to: .now) + wait < self.configuration.deadline
            else { throw failure }
            self.logger.debug("S3 request is sent again", metadata: ["error": "\(failure)", "attempt": "\(attempt)"])
            try await self.configuration.sleep(wait)
            attempt += 1
        }
    }

    /// How long to wait before another attempt, longer each time.
    func wait(_ attempt: Int) -> Duration {
        let doubled = self.configuration.backoff * (1 << min(max(attempt - 1, 0), 16))
        return self.configuration.jitter(min(doubled, self.configuration.maximumBackoff))
    }

    /// One exchange on one connection.
    private func once(_ request: S3Request, isRejected: Bool) async throws -> S3Reply {
        let credentials = try await self.credentials.current(isRejected: isRejected)
        let deadline = self.configuration.deadline
        let gate = request.isServed ? self.servingGate : self.gate
        guard let permit = try await gate.enter(orAfter: { try await Task.sleep(for: deadline) }) else {
            throw S3Error(
                .busy,
                "S3: \(request.action) \(self.place(request)): \(self.configuration.maximumRequests) requests run, "
                    + "as many as may; allow more, or find out why they take so long"
            )
        }
        var headers = request.headers
        headers.replaceOrAdd(name: "Host", value: self.address.host)
        if let sum = request.body?.contentMD5 { headers.replaceOrAdd(name: "Content-MD5", value: sum) }
        let path = self.address.path(request.key)
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        headers = S3Signature(credentials: credentials, region: self.configuration.region, time: self.clock()).sign(
            method: request.method,
            path: path,
            query: request.query,
            headers: headers,
            payload: request.body?.signed ?? empty
        )
        let url = self.address.url(request.key, query: S3Signature.encode(request.query))
        var message = HTTPClientRequest(url: url.description)
        message.method = request.method
        message.headers = headers
        message.headers.add(name: "User-Agent", value: "hallmark")
        if let body = request.body {
            message.body = .stream(body.pieces, length: .known(Int64(body.count)))
        } else if request.method == .PUT || request.method == .POST {
            message.headers.add(name: "Content-Length", value: "0")
        }
        do {
            // A quarter of a MiB a second is the slowest line that an upload may have.
            let timeout = request.timeout + .seconds(Int64((request.body?.count ?? 0) >> 18))
            let http = request.timeout >= Self.completionTimeout ? self.patientHTTP : self.http
            return S3Reply(try await http.execute(message, timeout: timeout), permit)
        } catch {
            throw self.connectionError(error, request)
        }
    }

    /// What went wrong on a connection as an error of ours; errors of ours stay as they are.
    func connectionError(_ error: any Error, _ request: S3Request) -> any Error {
        switch error {
        case is S3Error, is CancellationError: return error
        case let error as HTTPClientError where error == .cancelled: return CancellationError()
        default:
            let failure = ConnectionFailure(error, server: self.address.host, certificates: nil)
            return S3Error(
                failure.kind == .other ? .unreachable : .configuration,
                "S3: \(request.action) \(self.place(request)): \(self.address.root): \(failure.kind.advice ?? failure.description)"
            )
        }
    }

    /// The whole body, if it is not too long.
    func collect(_ reply: S3Reply, _ request: S3Request) async throws -> [UInt8] {
        // What a reply to HEAD says of its length is the object's.
        let limit = request.method == .HEAD ? Int.max : Self.maximumReplySize
        // A storage that joins parts may send spaces meanwhile, a few a minute.
        let body = BoundedBody(limits: TransferLimits(grace: request.timeout), uptime: { NIODeadline.now() })
        do {
            return try await body.read(reply.response, limit: limit)
        } catch let refusal as BodyRefusal {
            throw self.invalid(request, "\(self.address.root) \(refusal)")
        } catch {
            throw self.connectionError(error, request)
        }
    }

    private func document(_ reply: S3Reply, _ request: S3Request) async throws -> XMLNode {
        let bytes = try await self.collect(reply, request)
        do {
            return try XMLNode(parsing: bytes)
        } catch {
            throw self.invalid(request, "the reply is not XML: \(error.reason.printable()) at byte \(error.offset)")
        }
    }

    private func error(of reply: S3Reply, _ request: S3Request) async -> S3Error {
        let document = try? await self.document(reply, request)
        let region = reply.headers.first(name: "x-amz-bucket-region")
        let error = self.error(reply.status.code, document.flatMap(S3ErrorDocument.init), request)
        guard error.code == .wrongRegion, error.region == nil, let region else { return error }
        return S3Error(.wrongRegion, "\(error.message) (\(region.printable(limit: 60)))", status: error.status)
    }

    func error(_ status: UInt, _ document: S3ErrorDocument?, _ request: S3Request) -> S3Error {
        S3Error(status: status, document: document, place: self.place(request), action: request.action)
    }

    func invalid(_ request: S3Request, _ what: String) -> S3Error {
        S3Error(
            .invalidReply,
            "S3: \(request.action) \(self.place(request)): \(what); is \(self.address.root) S3-compatible storage?"
        )
    }

    private var source: S3CredentialSource { self.credentials.source }

    private func place(_ request: S3Request) -> String {
        self.configuration.bucket + (request.key.map { "/" + $0.printable(limit: 1024) } ?? "")
    }
}

extension ConnectionFailure.Kind {
    fileprivate var advice: String? {
        switch self {
        case .certificateRefused:
            "its certificate is not for this host, or of no authority that is trusted here; name the file of its CA"
        case .noTLS: "no TLS is spoken there; if the network may be trusted, write http:// instead of https://"
        case .other: nil
        }
    }
}
