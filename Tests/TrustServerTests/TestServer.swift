// SPDX-License-Identifier: Apache-2.0

import Crypto
import Database
import DatabaseTesting
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NotaryAPI
import Synchronization
import TUF
import Testing
import TokenAuthentication

@testable import TrustServer

/// A time that only the test moves.
final class TestClock: Sendable {
    private let date = Mutex(Date(timeIntervalSince1970: 1_800_000_000))

    var now: Date { self.date.withLock { $0 } }
    func advance(days: Double) { self.date.withLock { $0 = $0.addingTimeInterval(days * 86400) } }

    /// Time goes by while nothing else is done.
    func sleep(_ duration: Duration) throws {
        try Task.checkCancellation()
        self.date.withLock { $0 = $0.addingTimeInterval(duration / .seconds(1)) }
    }
}

/// Holds keys in memory. As the real one, it hands out one pending key for each role until that has signed.
final class TestSigner: Signer {
    private struct State {
        var keys: [KeyID: TestKey] = [:]
        var pending: [String: KeyID] = [:]
        var isUnavailable = false
        var signatures = 0
        var callsOnEventLoops = 0
    }

    private let state = Mutex(State())
    private let beforeSigning = Mutex<(@Sendable () async -> Void)?>(nil)

    /// Has something done before each signature.
    func beforeSigning(_ action: (@Sendable () async -> Void)?) { self.beforeSigning.withLock { $0 = action } }

    var signatures: Int { self.state.withLock { $0.signatures } }
    /// How often it was asked by a thread that serves connections.
    var callsOnEventLoops: Int { self.state.withLock { $0.callsOnEventLoops } }

    func setUnavailable(_ isUnavailable: Bool) { self.state.withLock { $0.isUnavailable = isUnavailable } }

    private func checkAvailable(_ state: inout State) throws {
        if MultiThreadedEventLoopGroup.currentEventLoop != nil { state.callsOnEventLoops += 1 }
        if state.isUnavailable { throw SignerError(.unavailable, "the signer is away") }
    }

    func createKey(algorithm: KeyType, gun: String, role: RoleName) async throws -> PublicKey {
        try self.state.withLock { state in
            try self.checkAvailable(&state)
            let name = "\(gun) \(role)"
            if let id = state.pending[name], let key = state.keys[id] { return key.publicKey }
            let key = TestKey()
            state.keys[key.publicKey.id] = key
            state.pending[name] = key.publicKey.id
            return key.publicKey
        }
    }

    func publicKey(_ id: KeyID) async throws -> PublicKey? {
        try self.state.withLock { state in
            try self.checkAvailable(&state)
            return state.keys[id]?.publicKey
        }
    }

    func sign(_ message: [UInt8], with id: KeyID) async throws -> TUF.Signature {
        await self.beforeSigning.withLock { $0 }?()
        let key = try self.state.withLock { state in
            try self.checkAvailable(&state)
            state.signatures += 1
            for (name, pending) in state.pending where pending == id { state.pending[name] = nil }
            return state.keys[id]
        }
        guard let key else { throw SignerError(.keyNotFound, "no key \(id)") }
        return try await key.sign(message)
    }

    func deleteKey(_ id: KeyID) async throws {
        self.state.withLock { $0.keys[id] = nil }
    }
}

/// Keeps what is logged from level notice on.
final class TestLog: LogHandler {
    struct Line: Sendable {
        let level: Logger.Level
        let text: String
        let metadata: Logger.Metadata
    }

    private let kept = Mutex<[Line]>([])

    var lines: [Line] { self.kept.withLock { $0 } }
    var warnings: [String] { self.lines.filter { $0.level == .warning }.map(\.text) }
    func clear() { self.kept.withLock { $0 = [] } }

    var logLevel: Logger.Level {
        get { .notice }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        self.kept.withLock {
            $0.append(Line(level: event.level, text: "\(event.message)", metadata: event.metadata ?? [:]))
        }
    }
}

/// A reply, its body read.
struct TestReply {
    let status: UInt
    let headers: HTTPHeaders
    let body: [UInt8]

    var text: String { String(decoding: self.body, as: UTF8.self) }
    var error: NotaryError? { NotaryError(decoding: self.body) }
}

/// A trust server over a database of its own, without sockets.
struct TestServer {
    let clock: TestClock
    let signer: TestSigner
    let database: any SQLDatabase
    let metrics = Metrics()
    let log: TestLog
    private let opener: DatabaseDriver.Opener
    let server: TrustServer
    let directory: URL

    /// Runs the body with a server, and removes what it has stored.
    static func with(
        _ change: (inout TrustServerConfiguration) -> Void = { _ in },
        _ body: (TestServer) async throws -> Void
    ) async throws {
        var configuration = TrustServerConfiguration()
        change(&configuration)
        try await withTemporaryDirectory { directory in
            try await DatabaseDriver.current.withDatabases { opener in
                let server = try await TestServer(
                    clock: TestClock(),
                    signer: TestSigner(),
                    database: opener.open(),
                    opener: opener,
                    configuration: configuration,
                    directory: directory
                )
                try await body(server)
            }
        }
    }

    init(
        clock: TestClock,
        signer: TestSigner,
        database: any SQLDatabase,
        opener: DatabaseDriver.Opener,
        configuration: TrustServerConfiguration = TrustServerConfiguration(),
        verifier: TokenVerifier? = nil,
        directory: URL
    ) async throws {
        self.clock = clock
        self.signer = signer
        self.database = database
        self.opener = opener
        self.directory = directory
        let log = TestLog()
        self.log = log
        let logger = Logger(label: "test") { _ in log }
        self.server = try await TrustServer(
            configuration: configuration,
            database: database,
            signer: signer,
            logger: logger,
            metrics: self.metrics,
            verifier: verifier,
            now: { clock.now },
            sleep: { try clock.sleep($0) }
        )
    }

    /// Another server over the same database and signer, as after a restart or beside this one.
    func another(
        verifier: TokenVerifier? = nil,
        _ change: (inout TrustServerConfiguration) -> Void = { _ in }
    ) async throws -> TestServer {
        var configuration = TrustServerConfiguration()
        change(&configuration)
        return try await TestServer(
            clock: self.clock,
            signer: self.signer,
            // Servers on PostgreSQL are processes of their own, with nothing in common.
            database: self.database is SQLiteDatabase ? self.database : self.opener.open(),
            opener: self.opener,
            configuration: configuration,
            verifier: verifier,
            directory: self.directory
        )
    }

    /// Sends a request the way the socket server does: first for an answer from memory.
    func send(
        _ method: HTTPMethod,
        _ path: String,
        query: String? = nil,
        headers: HTTPHeaders = [:],
        body: [UInt8] = []
    ) async throws -> TestReply {
        let request = HTTPRequest(
            method: method,
            path: path,
            query: query,
            headers: headers,
            body: HTTPRequestBody(ByteBuffer(bytes: body))
        )
        let responder = self.server.responder
        let response: HTTPResponse
        if let immediate = responder.immediateResponse(to: request) {
            response = immediate
        } else {
            response = try await responder.respond(to: request)
        }
        var bytes: [UInt8] = []
        if case .bytes(let buffer) = response.body { bytes = Array(buffer.readableBytesView) }
        return TestReply(status: response.status.code, headers: response.headers, body: bytes)
    }

    func get(_ path: String, query: String? = nil) async throws -> TestReply {
        try await self.send(.GET, path, query: query)
    }

    /// The metadata of a role of a collection, as a path ends in.
    func get(_ leaf: String, of gun: String) async throws -> TestReply {
        try await self.send(.GET, "/v2/\(gun)/_trust/tuf/\(leaf)")
    }

    func publish(_ files: TestPublisher.Files, to gun: String) async throws -> TestReply {
        let form = MultipartForm(files: files, random: (0..<30).map { _ in .random(in: 0...255) })
        return try await self.post(form.body, contentType: form.contentType, to: gun)
    }

    func post(_ body: [UInt8], contentType: String?, to gun: String) async throws -> TestReply {
        var headers: HTTPHeaders = [:]
        if let contentType { headers.add(name: "Content-Type", value: contentType) }
        return try await self.send(.POST, "/v2/\(gun)/_trust/tuf/", headers: headers, body: body)
    }

    func serverKey(_ role: RoleName, of gun: String) async throws -> TUF.PublicKey {
        try KeyResponse.decode(try await self.get("\(role).key", of: gun).body)
    }

    /// The keys of a collection that nothing is published of yet.
    func publisher(_ gun: String, serverHoldsSnapshot: Bool = true) async throws -> TestPublisher {
        try TestPublisher(
            gun: gun,
            now: self.clock.now,
            timestampKey: try await self.serverKey(.timestamp, of: gun),
            snapshotKey: serverHoldsSnapshot ? try await self.serverKey(.snapshot, of: gun) : nil
        )
    }

    /// Does what a client with an empty cache does, with every check that it makes.
    func update(_ gun: String, roles: [RoleName] = [.targets]) async throws -> TrustedCollection {
        var collection = TrustedCollection(trust: RootTrust(gun: gun), format: .notary, at: self.clock.now)
        try collection.updateRoot(try await self.get("root.json", of: gun).body)
        try collection.updateTimestamp(try await self.get("timestamp.json", of: gun).body)
        for role in [.snapshot] + roles {
            let hash = try #require(collection.listed(role)?.hashes?.sha256)
            let reply = try await self.get("\(role).\(Hexadecimal.encode(hash)).json", of: gun)
            #expect(reply.status == 200)
            if role == .snapshot {
                try collection.updateSnapshot(reply.body)
            } else {
                try collection.updateTargets(role, reply.body)
            }
        }
        return collection
    }

    /// What Prometheus is shown for a metric with its labels.
    func metric(_ sample: String) -> Double? {
        let text = String(buffer: self.metrics.render())
        let line = text.split(separator: "\n").first { $0.hasPrefix(sample + " ") }
        return line.flatMap { Double($0.dropFirst(sample.count + 1)) }
    }

    /// How many files are stored, of all collections.
    func storedFiles() async throws -> Int {
        try await self.database.read { try $0.query("SELECT id FROM tuf_files", []).count }
    }
}
