// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NotaryAPI
import Synchronization
import TUF

/// Sits on the wire between a client and an honest server, with a certificate that the client accepts: TLS is no help.
///
/// It passes every question on and answers what it likes.
final class Attacker: HTTPResponder {
    /// What a client asks for.
    struct Question: Sendable {
        let path: String
        /// The role whose metadata it is; nil for a target.
        let role: RoleName?
        /// What the honest server has for it; nil when it has nothing.
        let honest: [UInt8]?
    }

    enum Answer: Sendable {
        case bytes([UInt8])
        case status(HTTPResponseStatus)
        case redirect(to: String)
        /// Bytes for ever, without saying how many.
        case endless
        /// One byte at a time.
        case dripping([UInt8])
        /// The beginning; then the connection breaks.
        case cut([UInt8], of: Int64)
    }

    /// What it answers; nil for what the honest server said.
    typealias Attack = @Sendable (Question) -> Answer?

    private let upstream: String
    private let attack = Mutex<Attack?>(nil)
    private let sent = Mutex(0)

    /// - Parameter upstream: the URL of the honest server.
    init(upstream: String) { self.upstream = upstream }

    /// Attacks from now on, until ``stop()``.
    func begin(_ attack: @escaping Attack) { self.attack.withLock { $0 = attack } }

    /// Answers for these roles what is given here.
    func serve(_ files: [RoleName: [UInt8]]) {
        self.begin { question in question.role.flatMap { files[$0] }.map { .bytes($0) } }
    }

    /// Answers for one role.
    func answer(_ role: RoleName, _ answer: Answer) {
        self.begin { $0.role == role ? answer : nil }
    }

    func stop() { self.attack.withLock { $0 = nil } }

    /// How many bytes it got rid of in answers without end.
    var endlessBytes: Int { self.sent.withLock { $0 } }

    func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        let reply = try await HTTPClient.shared.execute(
            HTTPClientRequest(url: self.upstream + request.path),
            timeout: .seconds(30)
        )
        let body = try await reply.body.collect(upTo: 16 << 20)
        let question = Question(
            path: request.path,
            role: Self.role(of: request.path),
            honest: reply.status == .ok ? Array(body.readableBytesView) : nil
        )
        guard let answer = self.attack.withLock({ $0 })?(question) else {
            return HTTPResponse(status: reply.status, body: .bytes(body))
        }
        return self.response(answer)
    }

    private func response(_ answer: Answer) -> HTTPResponse {
        switch answer {
        case .bytes(let bytes): HTTPResponse(status: .ok, body: .bytes(ByteBuffer(bytes: bytes)))
        case .status(let status): HTTPResponse(status: status)
        case .redirect(let url): HTTPResponse(status: .found, headers: ["Location": url])
        case .endless:
            HTTPResponse(
                status: .ok,
                body: .stream(length: nil) { writer in
                    let spaces = ByteBuffer(repeating: 0x20, count: 64 << 10)
                    while true {
                        try await writer.write(spaces)
                        self.sent.withLock { $0 += spaces.readableBytes }
                    }
                }
            )
        case .dripping(let bytes):
            HTTPResponse(
                status: .ok,
                body: .stream(length: Int64(bytes.count)) { writer in
                    for byte in bytes { try await writer.write(ByteBuffer(bytes: [byte])) }
                }
            )
        case .cut(let bytes, let length):
            HTTPResponse(
                status: .ok,
                body: .stream(length: length) { writer in
                    try await writer.write(ByteBuffer(bytes: bytes))
                    throw CancellationError()
                }
            )
        }
    }

    private static func role(of path: String) -> RoleName? {
        if case .metadata(_, let role, _)? = try? TrustPath(parsing: path) { return role }
        guard path.hasPrefix(FileServer.metadata), path.hasSuffix(".json") else { return nil }
        var name = path.dropFirst(FileServer.metadata.count).dropLast(".json".count)
        let digits = name.prefix { $0.isNumber }
        if !digits.isEmpty, name.dropFirst(digits.count).first == "." { name = name.dropFirst(digits.count + 1) }
        return RoleName(String(name))
    }
}

/// Files that any static web server could have: a repository of TUF 1.0.
final class FileServer: HTTPResponder {
    static let metadata = "/metadata/"
    static let targets = "/targets/"

    private let files = Mutex<[String: [UInt8]]>([:])

    subscript(path: String) -> [UInt8]? {
        get { self.files.withLock { $0[path] } }
        set { self.files.withLock { $0[path] = newValue } }
    }

    func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        guard let file = self[request.path] else { return HTTPResponse(status: .notFound) }
        return HTTPResponse(status: .ok, body: .bytes(ByteBuffer(bytes: file)))
    }
}

enum LoopbackServer {
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs a server on a free loopback port while the body runs.
    static func with(
        _ responder: any HTTPResponder,
        tls: TLSContextSource? = nil,
        _ body: (_ url: String) async throws -> Void
    ) async throws {
        var configuration = HTTPServerConfiguration(port: 0, threadCount: 1)
        configuration.shutdownGrace = .seconds(1)
        configuration.tls = tls
        let server = HTTPServer(configuration: configuration, responder: responder, logger: Self.logger)
        let address = try await server.bind()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            do {
                try await body("\(tls == nil ? "http" : "https")://localhost:\(address.port ?? 0)")
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
    }
}
