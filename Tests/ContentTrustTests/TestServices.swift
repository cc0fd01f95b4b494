// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import Foundation
import HTTPService
import KeyStore
import Logging
import NIOCore
import NIOHTTP1
import NotaryAPI
import OCI
import Registry
import Synchronization
import TrustClient
import TrustServer
import TrustSigner

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A registry over HTTP and a trust server over HTTPS, on free loopback ports, with everything in one directory.
struct TestServices: Sendable {
    let directory: String
    /// `127.0.0.1:PORT`
    let registry: String
    /// `127.0.0.1:PORT`
    let trustServer: String
    let fault: FaultyTrustServer

    func reference(_ text: String) throws -> ImageReference { try ImageReference("\(self.registry)/\(text)") }

    /// Somebody with a Docker directory of their own, which knows the trust server's CA.
    func user(_ name: String) throws -> TestUser {
        let docker = "\(self.directory)/\(name)/docker"
        let tls = "\(docker)/tls/\(self.trustServer)"
        if !FileManager.default.fileExists(atPath: tls) {
            try FileManager.default.createDirectory(atPath: tls, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: "\(self.directory)/ca/ca.crt", toPath: "\(tls)/ca.crt")
        }
        return TestUser(directory: "\(self.directory)/\(name)", docker: docker, server: "https://\(self.trustServer)")
    }

    /// The file in which the registry has a blob.
    func stored(_ digest: Digest) -> String? {
        let root = "\(self.directory)/registry"
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return names.map { "\(root)/\($0)" }.first { path in
            guard let data = FileManager.default.contents(atPath: path), !data.isEmpty else { return false }
            return Digest(hashing: data) == digest
        }
    }

    static func run(_ body: (TestServices) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "content-trust-\(UUID())").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let registry = try await Registry(
            configuration: Registry.Configuration(directory: "\(directory)/registry"),
            database: try await SQLiteDatabase(path: "\(directory)/registry.db"),
            logger: silent
        )
        var signing = LocalSigner.Configuration()
        signing.iterations = 1000
        let trust = try await TrustServer(
            configuration: TrustServerConfiguration(),
            database: try await SQLiteDatabase(path: "\(directory)/trust.db"),
            signer: try await LocalSigner(
                database: try await SQLiteDatabase(path: "\(directory)/signer.db"),
                passphrases: OnePassphrase(),
                configuration: signing
            ),
            logger: silent
        )
        let authority = LocalCertificateAuthority(directory: "\(directory)/ca")
        let identity = try await TLSIdentity.load(.authority(authority), logger: silent)
        let fault = FaultyTrustServer(trust.responder)
        let servers = [
            Self.server(registry.responder, tls: nil), Self.server(fault, tls: identity.contexts),
        ]
        let ports = [try await servers[0].bind().port ?? 0, try await servers[1].bind().port ?? 0]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { try await server.run() } }
            defer { group.cancelAll() }
            try await body(
                TestServices(
                    directory: directory,
                    registry: "127.0.0.1:\(ports[0])",
                    trustServer: "127.0.0.1:\(ports[1])",
                    fault: fault
                )
            )
        }
        try await registry.close()
    }

    private static func server(_ responder: any HTTPResponder, tls: TLSContextSource?) -> HTTPServer {
        var configuration = HTTPServerConfiguration(port: 0, threadCount: 1)
        configuration.shutdownGrace = .seconds(1)
        configuration.tls = tls
        return HTTPServer(configuration: configuration, responder: responder, logger: silent)
    }
}

private struct OnePassphrase: SignerPassphrases {
    let defaultAlias = "test_1"
    func passphrase(forAlias alias: String, keysExist: Bool) -> Passphrase { Passphrase("a passphrase") }
}

/// A trust server that can be told to misbehave.
final class FaultyTrustServer: HTTPResponder {
    enum Fault: Sendable {
        case none
        /// Takes no uploads.
        case refusesUploads
        /// Serves the timestamp it served first.
        case replaysTimestamp
    }

    private let server: any HTTPResponder
    private let state = Mutex<(fault: Fault, timestamps: [String: HTTPResponse])>((.none, [:]))
    private let publishes = Mutex(0)

    init(_ server: any HTTPResponder) {
        self.server = server
    }

    func set(_ fault: Fault) { self.state.withLock { $0.fault = fault } }

    /// How many times somebody has published since this was asked last.
    func takePublishes() -> Int {
        self.publishes.withLock { count in
            defer { count = 0 }
            return count
        }
    }

    func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        if request.method == .POST, request.path.hasSuffix("/_trust/tuf/") { self.publishes.withLock { $0 += 1 } }
        let (fault, old) = self.state.withLock { ($0.fault, $0.timestamps[request.path]) }
        if fault == .refusesUploads, request.method == .POST { return HTTPResponse(status: .serviceUnavailable) }
        if fault == .replaysTimestamp, let old { return old }
        let response: HTTPResponse
        if let immediate = self.server.immediateResponse(to: request) {
            response = immediate
        } else {
            response = try await self.server.respond(to: request)
        }
        if request.path.hasSuffix("/timestamp.json"), response.status == .ok {
            self.state.withLock { state in
                if state.timestamps[request.path] == nil { state.timestamps[request.path] = response }
            }
        }
        return response
    }
}

/// Somebody's machine.
struct TestUser: Sendable {
    let directory: String
    let docker: String
    let server: String

    var trustDirectory: String { "\(self.docker)/trust" }
    func path(_ name: String) -> String { "\(self.directory)/\(name)" }
    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self.path(name)) }

    func settings(server: String? = nil) throws -> ClientSettings {
        try ClientSettings(
            environment: [
                "DOCKER_CONFIG": self.docker, "DOCKER_CONTENT_TRUST_SERVER": server ?? self.server,
                "HALLMARK_KEY_ITERATIONS": "10000",
            ]
        )
    }

    func images(server: String? = nil, now: @escaping @Sendable () -> Date = { Date() }) throws -> TrustedImages {
        TrustedImages(
            settings: try self.settings(server: server),
            passphrases: FixedPassphrase(Passphrase("correct horse")),
            logger: silent,
            now: now
        )
    }

    @discardableResult
    func push(_ source: String, to reference: ImageReference) async throws -> PushedImage {
        try await self.images().push(source, to: reference, temporaryDirectory: self.directory)
    }

    @discardableResult
    func pull(
        _ reference: ImageReference,
        _ name: String,
        platform: Platform? = nil,
        format: ImageSource.Format = .ociLayout
    ) async throws -> (trusted: TrustedImage, pulled: Descriptor) {
        try await self.images().pull(
            reference,
            platform: platform,
            into: TrustedImages.Destination(path: self.path(name), format: format)
        )
    }

    /// What an image on this machine is made of: the bytes of its layers, by its configuration's architecture.
    func layers(_ name: String, platform: Platform? = nil, image: String? = nil) throws -> [String] {
        let source = try ImageSource(path: self.path(name), temporaryDirectory: self.directory)
        var manifest = try Self.manifest(source, try source.image(named: image).descriptor)
        if let platform {
            let entries = manifest.manifests.filter { $0.platform?.matches(platform) == true }
            guard let entry = entries.first else { throw OCIError(.imageUnknown, "\(platform)") }
            manifest = try Self.manifest(source, entry)
        }
        return try manifest.layers.map { String(decoding: try Self.bytes(source, $0), as: UTF8.self) }
    }

    private static func manifest(_ source: ImageSource, _ descriptor: Descriptor) throws -> Manifest {
        try Manifest(parsing: try Self.bytes(source, descriptor), mediaType: descriptor.mediaType)
    }

    private static func bytes(_ source: ImageSource, _ descriptor: Descriptor) throws -> [UInt8] {
        guard let range = try source.content(descriptor) else { throw OCIError(.archiveInvalid, "no \(descriptor)") }
        return try range.open().readAll(limit: 1 << 20)
    }
}

/// An image on disk.
enum SampleLayout {
    /// Writes an OCI image layout with one image of one layer that is `text`; for several platforms an index of them.
    /// - Returns: the descriptor of what is tagged.
    @discardableResult
    static func write(_ path: String, _ text: String, architectures: [String] = ["amd64"]) throws -> Descriptor {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let destination = try ImageDestination(path: path, format: .ociLayout)
        var entries: [String] = []
        var top: Descriptor?
        for architecture in architectures {
            let layer = Array("\(text) on \(architecture)".utf8)
            let digest = Digest(hashing: layer)
            let config = Array(
                #"{"architecture":"\#(architecture)","os":"linux","rootfs":{"type":"layers","diff_ids":["\#(digest)"]}}"#
                    .utf8
            )
            let manifest = Array(
                """
                {"schemaVersion":2,"mediaType":"\(MediaType.imageManifest.rawValue)",
                "config":\(try Self.put(config, .imageConfig, destination)),
                "layers":[\(try Self.put(layer, .layer, destination))]}
                """.utf8
            )
            top = Descriptor(mediaType: .imageManifest, content: manifest)
            let entry = try Self.put(manifest, .imageManifest, destination)
            entries.append(entry.dropLast() + #","platform":{"os":"linux","architecture":"\#(architecture)"}}"#)
        }
        if entries.count > 1 {
            let index = Array(
                """
                {"schemaVersion":2,"mediaType":"\(MediaType.imageIndex.rawValue)",
                "manifests":[\(entries.joined(separator: ","))]}
                """.utf8
            )
            top = Descriptor(mediaType: .imageIndex, content: index)
            _ = try Self.put(index, .imageIndex, destination)
        }
        guard let top else { throw OCIError(.imageUnknown, "no architecture") }
        try destination.commit([.init(descriptor: top, names: [])])
        return top
    }

    private static func put(
        _ bytes: [UInt8],
        _ mediaType: MediaType,
        _ destination: ImageDestination
    ) throws -> String {
        let descriptor = Descriptor(mediaType: mediaType, content: bytes)
        try destination.put(bytes, descriptor)
        return #"{"mediaType":"\#(mediaType.rawValue)","digest":"\#(descriptor.digest)","size":\#(descriptor.size)}"#
    }
}
