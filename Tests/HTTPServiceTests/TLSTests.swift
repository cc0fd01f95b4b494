// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import SwiftASN1
import Synchronization
import Testing
import X509

@Suite("TLS and the local certificate authority")
struct TLSTests {
    /// Time that stands still until a test moves it.
    private final class TestClock: Sendable {
        private let time: Mutex<Date>

        init(_ start: Date = Date()) {
            self.time = Mutex(start)
        }

        var now: Date { self.time.withLock { $0 } }

        func advance(days: Double) {
            self.time.withLock { $0 += days * 86_400 }
        }
    }

    private static let logger = Logger(label: "test")
    private static let responder = ClosureResponder(immediate: {
        HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: $0.isSecure ? "secure" : "plain")))
    })

    private static func certificate(_ path: String) throws -> Certificate {
        try Certificate(pemEncoded: String(contentsOfFile: path, encoding: .utf8))
    }

    private static func leaf(_ identity: LocalCertificateAuthority.Identity) throws -> Certificate {
        try Certificate(pemEncoded: identity.chainPEM)
    }

    private static func permissions(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("A client that knows only ca.crt accepts the server, again and again")
    func chain() async throws {
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(directory: directory + "/tls", hostName: "host.example")
            let identity = try await TLSIdentity.load(.authority(authority), logger: Self.logger)
            try await withServer(Self.responder, .test { $0.tls = identity.contexts }) { server in
                let tls = try HTTPServerReplyTests.clientContext(root: authority.certificatePath)
                for _ in 0..<3 {
                    let client = try await RawClient.connect(to: server.address, tls: tls)
                    try await client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    #expect(await client.readToEnd().hasSuffix("secure"))
                }
            }
        }
    }

    @Test("A client that does not know ca.crt refuses the server")
    func stranger() async throws {
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(directory: directory + "/one", hostName: "host.example")
            let other = LocalCertificateAuthority(directory: directory + "/two", hostName: "host.example")
            _ = try other.identity()
            let identity = try await TLSIdentity.load(.authority(authority), logger: Self.logger)
            try await withServer(Self.responder, .test { $0.tls = identity.contexts }) { server in
                let tls = try HTTPServerReplyTests.clientContext(root: other.certificatePath)
                let client = try await RawClient.connect(to: server.address, tls: tls)
                try? await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(await client.readToEnd() == "")
            }
        }
    }

    @Test("Keys are for their owner alone, and the names are those asked for")
    func files() async throws {
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(
                directory: directory + "/tls",
                names: ["Registry.Example", "10.1.2.3"],
                hostName: "host.example"
            )
            let leaf = try Self.leaf(try authority.identity())
            #expect(try Self.permissions(directory + "/tls/ca.key") == 0o600)
            #expect(try Self.permissions(directory + "/tls/server.pem") == 0o600)
            #expect(try Self.permissions(directory + "/tls") == 0o700)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/tls").count == 3)
            let names = try #require(try leaf.extensions.subjectAlternativeNames).map { "\($0)" }.joined(separator: " ")
            for name in ["localhost", "host.example", "registry.example"] { #expect(names.contains(name)) }
            #expect(try #require(try leaf.extensions.subjectAlternativeNames).count == 6)
        }
    }

    @Test("openssl accepts the chain, for the name and for the address")
    func openssl() async throws {
        let tool = "/usr/bin/openssl"
        try #require(FileManager.default.isExecutableFile(atPath: tool), "this test needs openssl")
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(directory: directory, hostName: "host.example")
            let identity = try authority.identity()
            let leafPath = directory + "/leaf.crt"
            try identity.chainPEM.write(toFile: leafPath, atomically: false, encoding: .utf8)
            for check in [["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"], ["-verify_ip", "::1"]] {
                let process = Process()
                process.executableURL = URL(filePath: tool)
                process.arguments =
                    ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authority.certificatePath] + check
                    + [leafPath]
                process.standardOutput = FileHandle.nullDevice
                try process.run()
                process.waitUntilExit()
                #expect(process.terminationStatus == 0)
            }
        }
    }

    @Test("A restart keeps authority and certificate; the certificate alone is renewed in time")
    func renewal() async throws {
        try await withTemporaryDirectory { directory in
            let clock = TestClock()
            let authority = LocalCertificateAuthority(directory: directory, hostName: "host.example") { clock.now }
            let first = try authority.identity()
            let root = try Self.certificate(authority.certificatePath)
            #expect(try authority.identity() == first)
            clock.advance(days: 59)
            #expect(try authority.identity() == first)
            clock.advance(days: 2)
            let second = try authority.identity()
            #expect(second != first)
            #expect(try Self.certificate(authority.certificatePath) == root)
            let leaf = try Self.leaf(second)
            #expect(root.publicKey.isValidSignature(leaf.signature, for: leaf))
            #expect(leaf.notValidAfter.timeIntervalSince(clock.now) > 89 * 86_400)
        }
    }

    @Test("Other names make a new certificate of the same authority")
    func newNames() async throws {
        try await withTemporaryDirectory { directory in
            let one = LocalCertificateAuthority(directory: directory, hostName: "one.example")
            let first = try one.identity()
            let root = try Self.certificate(one.certificatePath)
            let two = LocalCertificateAuthority(directory: directory, hostName: "two.example")
            #expect(try two.identity() != first)
            #expect(try Self.certificate(two.certificatePath) == root)
        }
    }

    @Test("A crash between key and certificate is made good; a certificate without its key is refused")
    func halfWritten() async throws {
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(directory: directory, hostName: "host.example")
            _ = try authority.identity()
            let key = try Self.certificate(authority.certificatePath).publicKey
            try FileManager.default.removeItem(atPath: authority.certificatePath)
            _ = try authority.identity()
            #expect(try Self.certificate(authority.certificatePath).publicKey == key)
            try FileManager.default.removeItem(atPath: directory + "/ca.key")
            let error = #expect(throws: TLSIdentityError.self) { try authority.identity() }
            #expect(error?.code == .inconsistent)
        }
    }

    @Test("A renewed certificate is shown to new connections without a restart")
    func swap() async throws {
        try await withTemporaryDirectory { directory in
            // The client has the real time, at which both certificates must be good.
            let clock = TestClock(Date().addingTimeInterval(-61.5 * 86_400))
            let authority = LocalCertificateAuthority(directory: directory, hostName: "host.example") { clock.now }
            let identity = try await TLSIdentity.load(.authority(authority), logger: Self.logger)
            try await withServer(Self.responder, .test { $0.tls = identity.contexts }) { server in
                let first = try await Self.shownSerial(by: server.address, root: authority.certificatePath)
                #expect(try await identity.refresh() == false)
                clock.advance(days: 61)
                #expect(try await identity.refresh())
                let second = try await Self.shownSerial(by: server.address, root: authority.certificatePath)
                #expect(first != second)
                #expect(second == (try Self.leaf(try authority.identity()).serialNumber.description))
            }
        }
    }

    @Test("A peer that goes on sending after it was refused is cut off, and not read to its end")
    func endlessBody() async throws {
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(directory: directory, hostName: "host.example")
            let identity = try await TLSIdentity.load(.authority(authority), logger: Self.logger)
            try await withServer(Self.responder, .test { $0.tls = identity.contexts }) { server in
                var configuration = TLSConfiguration.makeClientConfiguration()
                configuration.trustRoots = .file(authority.certificatePath)
                let client = try await RawClient.connect(
                    to: server.address,
                    tls: try NIOSSLContext(configuration: configuration)
                )
                try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                _ = try await client.readReply()
                // Deaf to TLS's own closing, too.
                try await client.channel.setOption(.autoRead, value: false).get()
                try await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
                let piece = ByteBuffer(repeating: 0x78, count: 1 << 20)
                let limit = 256 << 20
                var sent = 0
                await #expect(throws: (any Error).self) {
                    while sent < limit {
                        try await client.send(piece)
                        sent += piece.readableBytes
                    }
                }
                #expect(sent < limit)
            }
        }
    }

    /// The serial number of the certificate that the server shows.
    private static func shownSerial(by address: SocketAddress, root: String) async throws -> String {
        let shown = Mutex<String?>(nil)
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(root)
        let tls = try NIOSSLContext(configuration: configuration)
        let client = try await RawClient.connect(to: address, tls: tls)
        try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        _ = try await client.readReply()
        let handler = try await client.channel.pipeline.handler(type: NIOSSLClientHandler.self)
            .map { $0.peerCertificate }.get()
        if let handler {
            let certificate = try Certificate(derEncoded: handler.toDERBytes())
            shown.withLock { $0 = certificate.serialNumber.description }
        }
        await client.close()
        return try #require(shown.withLock { $0 })
    }

    @Test("The operator's files are taken, and taken again when they change")
    func operatorFiles() async throws {
        try await withTemporaryDirectory { directory in
            let paths = (certificate: directory + "/server.crt", key: directory + "/server.key")
            func install(_ name: String) throws {
                let identity = try LocalCertificateAuthority(directory: directory + "/" + name, hostName: name)
                    .identity()
                try identity.chainPEM.write(toFile: paths.certificate, atomically: true, encoding: .utf8)
                try identity.keyPEM.write(toFile: paths.key, atomically: true, encoding: .utf8)
            }
            try install("one")
            let identity = try await TLSIdentity.load(
                .files(certificate: paths.certificate, key: paths.key),
                logger: Self.logger
            )
            #expect(try await identity.refresh() == false)
            try install("two")
            #expect(try await identity.refresh())
            try "no key".write(toFile: paths.key, atomically: true, encoding: .utf8)
            let error = await #expect(throws: TLSIdentityError.self) { try await identity.refresh() }
            #expect(error?.code == .unusable)
        }
    }

    @Test("With client authorities, a client without a certificate is refused")
    func clientCertificates() async throws {
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(directory: directory, hostName: "host.example")
            _ = try authority.identity()
            let identity = try await TLSIdentity.load(
                .authority(authority),
                peerAuthorities: authority.certificatePath,
                logger: Self.logger
            )
            try await withServer(Self.responder, .test { $0.tls = identity.contexts }) { server in
                let tls = try HTTPServerReplyTests.clientContext(root: authority.certificatePath)
                let client = try await RawClient.connect(to: server.address, tls: tls)
                try? await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(await client.readToEnd() == "")
            }
        }
    }
}
