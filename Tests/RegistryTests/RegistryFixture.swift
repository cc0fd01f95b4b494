// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Synchronization
import Testing
import TokenAuthentication

@testable import Registry

/// A registry over a directory of its own, asked without sockets.
final class RegistryFixture: Sendable {
    /// A time that tests move.
    final class Clock: Sendable {
        private let seconds = Mutex<TimeInterval>(1_800_000_000)
        var now: Date { Date(timeIntervalSince1970: self.seconds.withLock { $0 }) }
        func advance(by seconds: TimeInterval) { self.seconds.withLock { $0 += seconds } }
    }

    /// A setting that differs from the standard.
    struct Option {
        let apply: (inout Registry.Configuration) -> Void

        static func set<Value>(_ path: WritableKeyPath<Registry.Configuration, Value>, _ value: Value) -> Option {
            Option { $0[keyPath: path] = value }
        }
    }

    struct Reply: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let body: Data
        /// What a HEAD says the body would have.
        let absentLength: Int64?

        var location: String { self.headers.first(name: "location") ?? "" }
        var text: String { String(decoding: self.body, as: UTF8.self) }
        subscript(_ name: String) -> String? { self.headers.first(name: name) }

        /// The codes of an error's body.
        var codes: [String] {
            struct Body: Decodable {
                struct Item: Decodable {
                    let code: String
                    let message: String
                }
                let errors: [Item]
            }
            return (try? JSONDecoder().decode(Body.self, from: self.body))?.errors.map(\.code) ?? []
        }
    }

    let directory: String
    let clock = Clock()
    private let configuration: Registry.Configuration
    private let injector: FailureInjector?
    private let verifier: TokenVerifier?
    private let opener: DatabaseDriver.Opener
    private let opened: Mutex<(registry: Registry, database: any SQLDatabase)>

    var registry: Registry { self.opened.withLock { $0.registry } }
    var database: any SQLDatabase { self.opened.withLock { $0.database } }

    /// Runs the body with a new registry, and removes everything afterwards.
    static func run(
        injector: FailureInjector? = nil,
        verifier: TokenVerifier? = nil,
        _ options: Option...,
        body: (RegistryFixture) async throws -> Void
    ) async throws {
        let directory = NSTemporaryDirectory() + "registry-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var configuration = Registry.Configuration(directory: directory + "/blobs")
        for option in options { option.apply(&configuration) }
        let settled = configuration
        try await DatabaseDriver.current.withDatabases { opener in
            try await Self.run(RegistryFixture(directory, settled, injector, verifier, opener), body)
        }
    }

    private static func run(
        _ fixture: RegistryFixture,
        _ body: (RegistryFixture) async throws -> Void
    ) async throws {
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(fixture))
        } catch {
            result = .failure(error)
        }
        fixture.injector?.failing.withLock { $0 = [:] }
        try await fixture.registry.close()
        try await fixture.database.close()
        try result.get()
    }

    private init(
        _ directory: String,
        _ configuration: Registry.Configuration,
        _ injector: FailureInjector?,
        _ verifier: TokenVerifier?,
        _ opener: DatabaseDriver.Opener
    ) async throws {
        self.directory = directory
        self.configuration = configuration
        self.injector = injector
        self.verifier = verifier
        self.opener = opener
        self.opened = try await Mutex(Self.open(opener, configuration, injector, verifier, self.clock))
    }

    private static func open(
        _ opener: DatabaseDriver.Opener,
        _ configuration: Registry.Configuration,
        _ injector: FailureInjector?,
        _ verifier: TokenVerifier?,
        _ clock: Clock
    ) async throws -> (registry: Registry, database: any SQLDatabase) {
        let database = try await opener.open()
        let files = try await FileBlobStore(root: configuration.directory)
        let blobs: any BlobStore = injector.map { FailingBlobStore(files, $0) } ?? files
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let registry = try await Registry(
            configuration: configuration,
            blobs: blobs,
            foreign: ForeignChanges(directory: configuration.directory),
            database: database,
            logger: logger,
            verifier: verifier,
            clock: { clock.now }
        )
        return (registry, database)
    }

    /// What a new process finds: the directory and the database, and nothing of what was in memory.
    func restart() async throws {
        try await self.registry.close()
        try await self.database.close()
        let opened = try await Self.open(self.opener, self.configuration, self.injector, self.verifier, self.clock)
        self.opened.withLock { $0 = opened }
    }

    // MARK: - Requests

    /// Sends a request as the server would: first to the hot path.
    @discardableResult
    func send(
        _ method: HTTPMethod,
        _ target: String,
        _ body: [UInt8] = [],
        headers: [(String, String)] = [],
        withLength: Bool = true
    ) async throws -> Reply {
        var fields = HTTPHeaders(headers)
        if withLength, !fields.contains(name: "content-length") {
            fields.add(name: "content-length", value: "\(body.count)")
        }
        return try await self.send(method, target, HTTPRequestBody(ByteBuffer(bytes: body)), fields)
    }

    func send(
        _ method: HTTPMethod,
        _ target: String,
        _ body: HTTPRequestBody,
        _ headers: HTTPHeaders = [:]
    ) async throws -> Reply {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let request = HTTPRequest(
            method: method,
            path: parts[0],
            query: parts.count > 1 ? parts[1] : nil,
            headers: headers,
            body: body
        )
        let responder = self.registry.responder
        if let response = responder.immediateResponse(to: request) { return try await Self.reply(response) }
        return try await Self.reply(responder.respond(to: request))
    }

    private static func reply(_ response: HTTPResponse) async throws -> Reply {
        #expect(response.headers.first(name: "docker-distribution-api-version") == "registry/2.0")
        var body = Data()
        var absent: Int64?
        switch response.body {
        case .empty: break
        case .stream(let length, let produce):
            let collector = Collector()
            try await produce(collector)
            body = collector.bytes
            if let length { #expect(length == Int64(body.count)) }
        case .bytes(let buffer): body = Data(buffer.readableBytesView)
        case .absent(let length): absent = length
        case .file(let file):
            defer { try? file.file.close() }
            body = try file.file.withUnsafeFileDescriptor { descriptor in
                let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
                try handle.seek(toOffset: UInt64(file.range.lowerBound))
                return try handle.read(upToCount: file.range.count) ?? Data()
            }
        }
        return Reply(status: Int(response.status.code), headers: response.headers, body: body, absentLength: absent)
    }

    /// Takes what a streamed reply consists of.
    private final class Collector: HTTPBodyWriter {
        private let data = Mutex(Data())
        var bytes: Data { self.data.withLock { $0 } }
        func write(_ buffer: ByteBuffer) { self.data.withLock { $0.append(contentsOf: buffer.readableBytesView) } }
    }

    // MARK: - Shorthands

    /// Pushes a blob in one request.
    @discardableResult
    func pushBlob(
        _ content: [UInt8],
        to repository: String,
        algorithm: Digest.Algorithm = .sha256
    ) async throws -> Digest {
        let digest = Digest(hashing: content, algorithm: algorithm)
        let reply = try await self.send(.POST, "/v2/\(repository)/blobs/uploads/?digest=\(digest)", content)
        #expect(reply.status == 201)
        return digest
    }

    /// Pushes an image of one layer, all made from the text.
    @discardableResult
    func pushImage(_ text: String, to repository: String, as reference: String? = nil) async throws -> Digest {
        let content = try await self.imageContent(text, to: repository)
        let digest = Digest(hashing: content)
        let reply = try await self.putManifest(content, to: repository, as: reference ?? digest.description)
        #expect(reply.status == 201)
        return digest
    }

    /// Pushes what the image needs, and makes its manifest.
    func imageContent(_ text: String, to repository: String, more: String = "") async throws -> [UInt8] {
        let config = Array(#"{"created":"\#(text)"}"#.utf8)
        let layer = Array("layer of \(text)".utf8)
        try await self.pushBlob(config, to: repository)
        try await self.pushBlob(layer, to: repository)
        return Samples.image(config: config, layers: [layer], more: more)
    }

    func putManifest(
        _ content: [UInt8],
        to repository: String,
        as reference: String,
        type: String = Samples.imageType,
        headers: [(String, String)] = []
    ) async throws -> Reply {
        try await self.send(
            .PUT,
            "/v2/\(repository)/manifests/\(reference)",
            content,
            headers: [("content-type", type)] + headers
        )
    }

    /// Starts a session and returns its location.
    func startUpload(in repository: String, query: String = "") async throws -> String {
        let reply = try await self.send(.POST, "/v2/\(repository)/blobs/uploads/\(query)")
        #expect(reply.status == 202)
        #expect(reply["range"] == "0-0")
        #expect(reply.location.hasPrefix("/v2/\(repository)/blobs/uploads/"))
        return reply.location
    }

    /// The path of the file that holds a blob.
    func path(of digest: Digest) async throws -> String {
        let blob = try await RegistryStore(database: self.database).blob(digest)
        return try "\(self.configuration.directory)/blobs/\(#require(blob).location)"
    }

    var blobDirectory: String { self.configuration.directory }

    /// The names of files below a directory of the store.
    func files(_ directory: String) throws -> [String] {
        let root = self.configuration.directory + "/" + directory
        guard let paths = FileManager.default.enumerator(atPath: root) else { return [] }
        var files: [String] = []
        for case let path as String in paths {
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isDirectory)
            if !isDirectory.boolValue { files.append(path) }
        }
        return files.sorted()
    }
}
