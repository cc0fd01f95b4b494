// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPAccess
import HTTPService
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import Synchronization
import Testing

@testable import Registry

/// Takes events on a loopback port, or does not, as a test wants it.
final class EventReceiver: HTTPResponder {
    struct Event: Decodable, Sendable {
        struct Target: Decodable, Sendable {
            let mediaType: String?
            let digest: String?
            let size: Int64?
            let length: Int64?
            let repository: String
            let fromRepository: String?
            let url: String?
            let tag: String?
            let references: [Reference]?
        }

        struct Reference: Decodable, Sendable, Equatable {
            let mediaType: String
            let size: Int64
            let digest: String
        }

        struct Request: Decodable, Sendable {
            let method: String
            let useragent: String
            let host: String
        }

        let id: String
        let timestamp: String
        let action: String
        let target: Target
        let request: Request

        /// Action, repository, and the tag or the kind of what it is about.
        var summary: String {
            let what = self.target.tag ?? (self.target.mediaType == EventSubject.blobType ? "blob" : "manifest")
            return "\(self.action) \(self.target.repository) \(what)"
        }
    }

    private struct Envelope: Decodable {
        let events: [Event]
    }

    private struct State {
        var events: [Event] = []
        var headers: [HTTPHeaders] = []
        var refused = 0
        /// What to answer; nil for nothing until it is told otherwise.
        var status: HTTPResponseStatus? = .ok
        var hanging: [CheckedContinuation<Void, Never>] = []
        var trickles = false
    }

    private let state = Mutex(State())

    var events: [Event] { self.state.withLock { $0.events } }
    var headers: [HTTPHeaders] { self.state.withLock { $0.headers } }
    var refused: Int { self.state.withLock { $0.refused } }

    /// What to answer from now on; those who hang get it too.
    func answer(_ status: HTTPResponseStatus?) {
        let hanging = self.state.withLock { state in
            defer { state.hanging = [] }
            state.status = status
            return state.hanging
        }
        for continuation in hanging { continuation.resume() }
    }

    /// Takes everything, but never comes to the end of an answer.
    func trickles() { self.state.withLock { $0.trickles = true } }

    func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        let body = try await request.body.collect(upTo: 8 << 20)
        let envelope = try JSONDecoder().decode(Envelope.self, from: Data(buffer: body))
        if self.state.withLock({ $0.status }) == nil {
            self.state.withLock { $0.refused += 1 }
            await withCheckedContinuation { continuation in
                let isOver = self.state.withLock { state in
                    guard state.status == nil else { return true }
                    state.hanging.append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
            // Whoever waited that long has gone.
            return HTTPResponse(status: .gatewayTimeout)
        }
        if self.state.withLock({ $0.trickles }) {
            self.state.withLock { $0.events += envelope.events }
            let body = HTTPResponse.Body.stream(length: nil) { writer in
                while !Task.isCancelled {
                    try await writer.write(ByteBuffer(string: "."))
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            return HTTPResponse(status: .ok, body: body)
        }
        return self.state.withLock { state in
            let status = state.status ?? .ok
            if status == .ok {
                state.events += envelope.events
                state.headers.append(request.headers)
            } else {
                state.refused += 1
            }
            return HTTPResponse(status: status)
        }
    }

    /// Runs a test with a receiver that listens.
    static func run(_ body: (EventReceiver, HTTPURL) async throws -> Void) async throws {
        let receiver = EventReceiver()
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(port: 0, threadCount: 1),
            responder: receiver,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let address = try await server.bind()
        let port = try #require(address.port)
        let url = try #require(HTTPURL("http://127.0.0.1:\(port)/events"))
        async let serving: Void = server.run()
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(receiver, url))
        } catch {
            result = .failure(error)
        }
        receiver.answer(.ok)
        server.shutDown()
        try await serving
        try result.get()
    }
}
