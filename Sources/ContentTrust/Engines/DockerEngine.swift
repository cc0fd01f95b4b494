// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import DurableFiles
import Foundation
import HTTPAccess
import NIOCore
import NIOHTTP1
import NIOSSL
package import OCI
import PercentEncoding

/// The Docker engine, over the API that its own client uses.
package struct DockerEngine: ImageEngine {
    /// Where it listens, as `DOCKER_HOST` names it.
    package let host: String
    private let base: String
    private let tls: TLSConfiguration

    private static let answerLimit = 1 << 20
    /// The most bytes of the progress that is told while an image is loaded.
    private static let progressLimit: Int64 = 256 << 20

    package var description: String { "the Docker engine at \(self.host)" }

    /// Finds the engine as `docker` does: `DOCKER_HOST`, the context in use, else the usual socket. `DOCKER_TLS_VERIFY` and
    /// `DOCKER_CERT_PATH` count for TCP.
    /// - Throws: ``ContentTrustError`` with code `engine` for an address that cannot be used.
    package init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let directory = (variable("DOCKER_CONFIG") ?? "~/.docker").expandingTilde
        let context = DockerContext.host(named: variable("DOCKER_CONTEXT"), in: directory)
        let host = variable("DOCKER_HOST") ?? context ?? "unix:///var/run/docker.sock"
        self.host = host
        var tls = TLSConfiguration.client(trusting: [])
        if host.hasPrefix("unix://") {
            self.tls = tls
            let socket = String(host.dropFirst("unix://".count))
            self.base = "http+unix://" + PercentCoding.encode(socket)
            return
        }
        guard host.hasPrefix("tcp://") || host.hasPrefix("http://") || host.hasPrefix("https://") else {
            throw ContentTrustError(
                .engine,
                "the Docker engine at \(host.prefix(200)) cannot be reached from here: unix:// and tcp:// can"
            )
        }
        let address = host.drop { $0 != ":" }.dropFirst(3)
        guard variable("DOCKER_TLS_VERIFY") != nil || host.hasPrefix("https://") else {
            self.base = "http://" + address
            self.tls = tls
            return
        }
        self.base = "https://" + address
        let folder = (variable("DOCKER_CERT_PATH") ?? directory).expandingTilde
        do {
            tls.trustRoots = .file("\(folder)/ca.pem")
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile("\(folder)/cert.pem").map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: "\(folder)/key.pem", format: .pem))
        } catch {
            throw ContentTrustError(.engine, "\(folder) must have ca.pem, cert.pem and key.pem for \(host): \(error)")
        }
        self.tls = tls
    }

    package func platform() async throws -> Platform {
        struct Version: Decodable {
            let os: String
            let architecture: String

            private enum CodingKeys: String, CodingKey {
                case os = "Os"
                case architecture = "Arch"
            }
        }
        return try await self.send(self.request(.GET, "/version")) { response in
            let bytes = try await Self.answer(response)
            guard let version = try? JSONDecoder().decode(Version.self, from: Data(bytes)) else {
                throw ContentTrustError(.engine, "\(self.host) does not answer as a Docker engine does")
            }
            return try Platform("\(version.os)/\(version.architecture)")
        }
    }

    package func load(_ layout: String, _ image: Descriptor, names: [ImageReference]) async throws {
        let archive = try await BlockingWork.wait {
            try ImageArchive(
                of: image,
                in: try ImageSource(path: layout, temporaryDirectory: layout),
                names: names
            )
        }
        var request = self.request(.POST, "/images/load?quiet=1")
        request.headers.add(name: "Content-Type", value: "application/x-tar")
        request.body = .stream(ArchivePieces(parts: archive.parts), length: .known(archive.size))
        try await self.send(request) { response in try await self.readProgress(response) }
        // An engine may take the first name only.
        guard let first = names.first, let tag = first.tag else { return }
        for name in names.dropFirst() {
            guard let other = name.tag else { continue }
            let source = PercentCoding.encode("\(first.familiarName):\(tag)", keeping: "/:")
            let target = "repo=\(PercentCoding.encode(name.familiarName))&tag=\(other)"
            try await self.send(self.request(.POST, "/images/\(source)/tag?\(target)")) { response in
                _ = try await Self.answer(response)
            }
        }
    }

    package func save(_ names: [String], to path: String) async throws {
        let query = names.map { "names=\(PercentCoding.encode($0))" }.joined(separator: "&")
        try await self.send(self.request(.GET, "/images/get?\(query)")) { response in
            guard let file = FileHandle.making(path) else {
                throw ContentTrustError(.engine, "cannot write \(path)")
            }
            defer { try? file.close() }
            for try await piece in response.body {
                try await BlockingWork.wait { try file.write(contentsOf: Data(piece.readableBytesView)) }
            }
        }
    }
}

// MARK: - HTTP

extension DockerEngine {
    private func request(_ method: HTTPMethod, _ path: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: self.base + path)
        request.method = method
        // Over a socket there is no host.
        if self.base.hasPrefix("http+unix") { request.headers.add(name: "Host", value: "docker") }
        return request
    }

    @discardableResult
    private func send<Result: Sendable>(
        _ request: HTTPClientRequest,
        _ take: (HTTPClientResponse) async throws -> Result
    ) async throws -> Result {
        let client = HTTPClient(
            eventLoopGroupProvider: .singleton,
            configuration: .plainSpoken(tls: self.tls, connect: .seconds(10), read: .minutes(30))
        )
        do {
            let response = try await self.execute(request, client)
            guard (200..<300).contains(response.status.code) else { throw await self.refusal(response) }
            let result = try await take(response)
            try await client.shutdown()
            return result
        } catch {
            // What stopped it is what matters.
            try? await client.shutdown()
            throw error
        }
    }

    private func execute(_ request: HTTPClientRequest, _ client: HTTPClient) async throws -> HTTPClientResponse {
        do {
            return try await client.execute(request, deadline: .distantFuture)
        } catch let error as CancellationError {
            throw error
        } catch let error as OCIError {
            throw error
        } catch {
            let failure = ConnectionFailure(error, server: self.host, certificates: nil)
            throw ContentTrustError(
                .engineUnreachable,
                "cannot reach \(self.description): \(failure). Is it running, and may you use it? DOCKER_HOST names another"
            )
        }
    }

    private static func answer(_ response: HTTPClientResponse) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await piece in response.body {
            guard bytes.count + piece.readableBytes <= self.answerLimit else {
                throw ContentTrustError(.engine, "the Docker engine answers more than \(self.answerLimit) bytes")
            }
            bytes += piece.readableBytesView
        }
        return bytes
    }

    private struct Message: Decodable {
        let message: String?
        let error: String?
    }

    private func refusal(_ response: HTTPClientResponse) async -> ContentTrustError {
        let bytes = (try? await Self.answer(response)) ?? []
        let text = (try? JSONDecoder().decode(Message.self, from: Data(bytes)))?.message
        return ContentTrustError(
            .engine,
            "\(self.description) refuses: \((text ?? "status \(response.status.code)").prefix(1000))"
        )
    }

    /// Reads what is told of a load, line by line: that it failed is only said there.
    private func readProgress(_ response: HTTPClientResponse) async throws {
        var line: [UInt8] = []
        var count: Int64 = 0
        func check() throws {
            defer { line.removeAll(keepingCapacity: true) }
            guard let error = (try? JSONDecoder().decode(Message.self, from: Data(line)))?.error else { return }
            throw ContentTrustError(.engine, "\(self.description) cannot load the image: \(error.prefix(1000))")
        }
        for try await piece in response.body {
            count += Int64(piece.readableBytes)
            guard count <= Self.progressLimit else {
                throw ContentTrustError(.engine, "\(self.description) does not stop telling of the load")
            }
            for byte in piece.readableBytesView {
                if byte == UInt8(ascii: "\n") {
                    try check()
                } else if line.count < Self.answerLimit {
                    line.append(byte)
                }
            }
        }
        try check()
    }
}

extension FileHandle {
    /// Makes a new file for its owner alone.
    fileprivate static func making(_ path: String) -> FileHandle? {
        FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
            ? FileHandle(forWritingAtPath: path) : nil
    }
}
