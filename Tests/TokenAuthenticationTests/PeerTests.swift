// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Crypto
import CryptoExtras
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import SwiftASN1
import Testing
import X509

@testable import TokenAuthentication

/// Servers that nobody here wrote take our tokens.
struct PeerTests {
    /// A server of another make, with the path that anybody with the grant may read.
    struct Peer: Sendable, CustomStringConvertible {
        let description: String
        let program: String
        let arguments: [String]
        let path: String
        let grant: AccessEntry
        /// The file of settings; `{port}` and `{bundle}` are filled in.
        let settings: String

        var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: self.program) }
    }

    static let peers = [
        Peer(
            description: "docker-registry",
            program: "/usr/bin/docker-registry",
            arguments: ["serve"],
            path: "/v2/_catalog",
            grant: .catalog,
            settings: """
                {"version": 0.1, "storage": {"inmemory": {}}, "http": {"addr": "127.0.0.1:{port}", "secret": "test"},
                 "auth": {"token": {"realm": "https://auth.example/token", "service": "test service",
                                    "issuer": "test issuer", "rootcertbundle": "{bundle}"}}}
                """
        ),
        Peer(
            description: "notary-server",
            program: "/usr/bin/notary-server",
            arguments: ["-config"],
            path: "/v2/",
            grant: .catalog,
            settings: """
                {"server": {"http_addr": "127.0.0.1:{port}"}, "trust_service": {"type": "local"},
                 "storage": {"backend": "memory"},
                 "auth": {"type": "token", "options": {"realm": "https://auth.example/token", "service": "test service",
                          "issuer": "test issuer", "rootcertbundle": "{bundle}"}}}
                """
        ),
    ]

    @Test(
        "Other servers find the key of our tokens by its name and by its certificate",
        .enabled("docker-registry and notary-server must be installed") {
            // In CI their absence is a failure.
            Self.peers.allSatisfy(\.isInstalled) || ProcessInfo.processInfo.environment["CI"] == "true"
        },
        .timeLimit(.minutes(2)),
        arguments: Self.peers
    )
    func tokens(_ peer: Peer) async throws {
        let keys = [
            P256.Signing.PrivateKey().pemRepresentation,
            try _RSA.Signing.PrivateKey(keySize: .bits2048).pemRepresentation,
        ]
        let certificates = try keys.map { try Self.certificate($0) }
        let bundle = try certificates.map { try $0.serializeAsPEM().pemString }.joined(separator: "\n")
        let claims = Self.claims(access: [peer.grant])
        try await Self.run(peer, bundle: bundle) { status in
            #expect(try await status(nil) == 401)
            #expect(try await status(TokenSigner.generated().token(claims)) == 401)
            for (key, certificate) in zip(keys, certificates) {
                let named = try TokenSigner(pem: key)
                #expect(try await status(named.token(claims)) == 200, "\(named.algorithm) by its name")
                #expect(try await status(named.token(Self.claims(access: []))) == 401)
                let certified = try TokenSigner(pem: key, certificates: [certificate])
                #expect(try await status(certified.token(claims)) == 200, "\(certified.algorithm) by its certificate")
            }
        }
    }

    /// In force at the time that the peer has.
    private static func certificate(_ pem: String) throws -> Certificate {
        let key = try Certificate.PrivateKey(pemEncoded: pem)
        return try TestAuthority.certificate(
            for: key.publicKey,
            subject: "Token service",
            issuer: "Token service",
            isAuthority: false,
            notBefore: Date(timeIntervalSinceNow: -3600),
            notAfter: Date(timeIntervalSinceNow: 3600),
            signedBy: key
        )
    }

    private static func claims(access: [AccessEntry]) -> JSONWebToken.Claims {
        let now = Int64(Date().timeIntervalSince1970)
        return JSONWebToken.Claims(
            issuer: "test issuer",
            subject: "alice",
            audience: ["test service"],
            issuedAt: now,
            expires: now + 300,
            id: "1",
            access: access
        )
    }

    /// Runs the body with what tells the status of the peer's reply to a token.
    private static func run(
        _ peer: Peer,
        bundle: String,
        _ body: ((String?) async throws -> UInt) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let port = try await Self.freePort()
            var settings = peer.settings
            settings.replace("{port}", with: "\(port)")
            settings.replace("{bundle}", with: directory + "/bundle.pem")
            try bundle.write(toFile: directory + "/bundle.pem", atomically: true, encoding: .utf8)
            try settings.write(toFile: directory + "/settings.json", atomically: true, encoding: .utf8)

            let process = Process()
            process.executableURL = URL(fileURLWithPath: peer.program)
            process.arguments = peer.arguments + [directory + "/settings.json"]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            defer {
                process.terminate()
                process.waitUntilExit()
            }
            let client = HTTPClient()
            let result: Result<Void, any Error>
            do {
                result = .success(
                    try await body { token in
                        // The client tries to connect until the peer listens.
                        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(peer.path)")
                        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
                        return try await client.execute(request, timeout: .seconds(60)).status.code
                    }
                )
            } catch {
                result = .failure(error)
            }
            try await client.shutdown()
            try result.get()
        }
    }

    private static func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port
        try await channel.close()
        return try #require(port)
    }
}
