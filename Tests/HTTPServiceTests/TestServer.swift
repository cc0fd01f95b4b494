// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// A responder made of closures.
struct ClosureResponder: HTTPResponder {
    var immediate: @Sendable (HTTPRequest) -> HTTPResponse? = { _ in nil }
    var answer: @Sendable (HTTPRequest) async throws -> HTTPResponse = { _ in HTTPResponse(status: .notFound) }

    func immediateResponse(to request: HTTPRequest) -> HTTPResponse? { self.immediate(request) }
    func respond(to request: HTTPRequest) async throws -> HTTPResponse { try await self.answer(request) }
}

/// Keeps what was logged.
final class LogRecord: Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var message: String
        var metadata: [String: String]
    }

    private let lines = Mutex<[Line]>([])
    var all: [Line] { self.lines.withLock { $0 } }

    func append(_ line: Line) {
        self.lines.withLock { $0.append(line) }
    }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(record: self) }
    }

    private struct Handler: LogHandler {
        let record: LogRecord
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let metadata = (event.metadata ?? [:]).mapValues { "\($0)" }
            self.record.append(Line(level: event.level, message: "\(event.message)", metadata: metadata))
        }
    }
}

struct TestServer: Sendable {
    let server: HTTPServer
    let address: SocketAddress
    let log: LogRecord
}

extension HTTPServerConfiguration {
    /// A free port of the loopback interface, one thread, and what `change` does.
    static func test(_ change: (inout HTTPServerConfiguration) -> Void = { _ in }) -> HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration(port: 0, threadCount: 1)
        configuration.shutdownGrace = .seconds(5)
        change(&configuration)
        return configuration
    }
}

/// Runs a server on a free port of the loopback interface while `body` runs.
func withServer<R>(
    _ responder: any HTTPResponder,
    _ configuration: HTTPServerConfiguration = .test(),
    _ body: (TestServer) async throws -> R
) async throws -> R {
    let log = LogRecord()
    let server = HTTPServer(configuration: configuration, responder: responder, logger: log.logger)
    let address = try await server.bind()
    async let running: Void = server.run()
    do {
        let result = try await body(TestServer(server: server, address: address, log: log))
        server.shutDown()
        try await running
        return result
    } catch {
        server.shutDown()
        throw error
    }
}

/// A directory of its own for one test.
func withTemporaryDirectory<R>(_ body: (String) async throws -> R) async throws -> R {
    let path = FileManager.default.temporaryDirectory.appending(component: "hallmark-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

/// Tells one task that another has come to a certain point.
final class Signal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (self.stream, self.continuation) = AsyncStream.makeStream()
    }

    func send() {
        self.continuation.yield()
        self.continuation.finish()
    }

    /// Returns also when the waiting task is cancelled.
    func wait() async {
        for await _ in self.stream { break }
    }
}
