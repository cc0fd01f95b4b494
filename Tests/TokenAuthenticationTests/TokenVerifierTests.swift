// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import Logging
import SwiftASN1
import Synchronization
import Testing
import X509

@testable import TokenAuthentication

struct TokenVerifierTests {
    /// A time that the test moves.
    final class Clock: Sendable {
        private let seconds = Mutex(TestTime.seconds)
        var now: Date { Date(timeIntervalSince1970: Double(self.seconds.withLock { $0 })) }
        func advance(by seconds: Int64) { self.seconds.withLock { $0 += seconds } }
    }

    private static func verifier(_ keys: TrustedTokenKeys, _ clock: Clock = Clock()) throws -> TokenVerifier {
        try TokenVerifier(.test, keys: keys, logger: .silent, now: { clock.now })
    }

    private static func trusting(_ signers: TokenSigner...) throws -> TrustedTokenKeys {
        var keys = TrustedTokenKeys()
        for signer in signers { try keys.trust(signer.verificationKey) }
        return keys
    }

    /// Puts other headers over the claims of a token; the signature no longer fits unless `signer` makes it anew.
    private static func token(
        header: String,
        _ claims: JSONWebToken.Claims = .test(),
        signature: (Data) throws -> Data
    ) throws -> Substring {
        let message =
            "\(Base64URL.encode(header.utf8)).\(Base64URL.encode(try JSONWebToken.encoder.encode(claims)))"
        return "\(message).\(Base64URL.encode(try signature(Data(message.utf8))))"
    }

    // MARK: Signatures

    @Test("A token signed by a trusted key counts, and is known afterwards")
    func trusted() async throws {
        let signer = try TokenSigner.generated()
        let verifier = try Self.verifier(Self.trusting(TokenSigner.generated(), signer))
        let claims = JSONWebToken.Claims.test(access: [.repository("a", "pull")])
        let token = try Substring(signer.token(claims))
        #expect(verifier.claimsInMemory(of: token) == nil)
        #expect(try await verifier.claims(of: token) == claims)
        #expect(verifier.claimsInMemory(of: token) == claims)
        #expect(verifier.claimsInMemory(of: token.dropLast()) == nil)
        #expect(verifier.claimsInMemory(of: token + "A") == nil)
    }

    @Test("A token signed by a stranger does not count, under whatever name")
    func foreign() async throws {
        let signer = try TokenSigner.generated()
        let key = P256.Signing.PrivateKey()
        let verifier = try Self.verifier(Self.trusting(signer))
        let stranger = try TokenSigner(pem: key.pemRepresentation)
        await #expect(throws: TokenError(.unknownKey, "")) {
            try await verifier.claims(of: Substring(stranger.token(.test())))
        }
        for id in [signer.verificationKey.libtrustID, signer.verificationKey.thumbprint] {
            let token = try Self.token(header: #"{"alg":"ES256","kid":"\#(id)"}"#) {
                try key.signature(for: $0).rawRepresentation
            }
            await #expect(throws: TokenError(.signature, "")) { try await verifier.claims(of: token) }
        }
    }

    @Test("A claim that was changed does not count")
    func changed() async throws {
        let signer = try TokenSigner.generated()
        let verifier = try Self.verifier(Self.trusting(signer))
        let parts = try signer.token(.test(access: [.repository("a", "pull")])).split(separator: ".")
        let other = try JSONWebToken.encoder.encode(JSONWebToken.Claims.test(access: [.repository("a", "push")]))
        await #expect(throws: TokenError(.signature, "")) {
            try await verifier.claims(of: "\(parts[0]).\(Base64URL.encode(other)).\(parts[2])")
        }
    }

    @Test("A public key is no shared secret, and no signature is none")
    func algorithmConfusion() async throws {
        let rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let signer = try TokenSigner(pem: rsa.pemRepresentation)
        let verifier = try Self.verifier(Self.trusting(signer, TokenSigner.generated()))
        let id = signer.verificationKey.libtrustID
        for secret in [Data(rsa.publicKey.pemRepresentation.utf8), rsa.publicKey.derRepresentation] {
            let token = try Self.token(header: #"{"alg":"HS256","kid":"\#(id)"}"#) { message in
                Data(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: secret)))
            }
            await #expect(throws: TokenError(.algorithm, "")) { try await verifier.claims(of: token) }
        }
        let none = try Self.token(header: #"{"alg":"none","kid":"\#(id)"}"#) { _ in Data() }
        await #expect(throws: TokenError(.algorithm, "")) { try await verifier.claims(of: none) }
        let wrongKind = try Self.token(header: #"{"alg":"ES256","kid":"\#(id)"}"#) { message in
            try P256.Signing.PrivateKey().signature(for: message).rawRepresentation
        }
        await #expect(throws: TokenError(.algorithm, "")) { try await verifier.claims(of: wrongKind) }
        let empty = try Self.token(header: #"{"alg":"RS256","kid":"\#(id)"}"#) { _ in Data() }
        await #expect(throws: TokenError(.signature, "")) { try await verifier.claims(of: empty) }
    }

    @Test("Every algorithm of a key counts, with the key's own name or that of RFC 7638")
    func algorithms() async throws {
        let rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let ed25519 = Curve25519.Signing.PrivateKey()
        let key = try TokenVerificationKey(.rsa(rsa.publicKey))
        let edKey = try TokenVerificationKey(.ed25519(ed25519.publicKey))
        var keys = TrustedTokenKeys()
        try keys.trust(key)
        try keys.trust(edKey)
        let verifier = try Self.verifier(keys)
        let signatures: [(String, (Data) throws -> Data)] = [
            (
                #"{"alg":"RS384","kid":"\#(key.thumbprint)"}"#,
                { try rsa.signature(for: SHA384.hash(data: $0), padding: .insecurePKCS1v1_5).rawRepresentation }
            ),
            (
                #"{"alg":"RS512","kid":"\#(key.libtrustID)"}"#,
                { try rsa.signature(for: SHA512.hash(data: $0), padding: .insecurePKCS1v1_5).rawRepresentation }
            ),
            (#"{"alg":"EdDSA","kid":"\#(edKey.thumbprint)"}"#, { try ed25519.signature(for: $0) }),
        ]
        for (header, signature) in signatures {
            let token = try Self.token(header: header, signature: signature)
            #expect(try await verifier.claims(of: token) == .test())
        }
    }

    @Test("A key in the token itself counts only if it is trusted")
    func keyInToken() async throws {
        let key = P256.Signing.PrivateKey()
        let signer = try TokenSigner(pem: key.pemRepresentation)
        let jwk = try JSONWebToken.encoder.encode(try #require(JSONWebKey(.p256(key.publicKey))))
        let header = #"{"alg":"ES256","jwk":\#(String(decoding: jwk, as: UTF8.self))}"#
        let token = try Self.token(header: header) { try key.signature(for: $0).rawRepresentation }
        #expect(try await Self.verifier(Self.trusting(signer)).claims(of: token) == .test())
        let verifier = try Self.verifier(Self.trusting(TokenSigner.generated()))
        await #expect(throws: TokenError(.unknownKey, "")) { try await verifier.claims(of: token) }
        let anonymous = try Self.token(header: #"{"alg":"ES256"}"#) { try key.signature(for: $0).rawRepresentation }
        await #expect(throws: TokenError(.unknownKey, "")) { try await verifier.claims(of: anonymous) }
    }

    // MARK: Certificates

    @Test("Certificates in a token count when they lead to a trusted root, through others too, and in their time")
    func chains() async throws {
        let authority = try TestAuthority()
        var keys = TrustedTokenKeys()
        try keys.trust(authority.certificate)
        let clock = Clock()
        let verifier = try Self.verifier(keys, clock)
        let key = P256.Signing.PrivateKey()

        let direct = try TokenSigner(
            pem: key.pemRepresentation,
            certificates: [try authority.certificate(for: key.publicKey)]
        )
        #expect(try await verifier.claims(of: Substring(direct.token(.test()))) == .test())

        let intermediate = P256.Signing.PrivateKey()
        let chain = [
            try TestAuthority.certificate(
                for: Certificate.PublicKey(key.publicKey),
                subject: "Token service",
                issuer: "Intermediate",
                isAuthority: false,
                signedBy: Certificate.PrivateKey(intermediate)
            ),
            try authority.certificate(for: intermediate.publicKey, named: "Intermediate", isAuthority: true),
        ]
        let indirect = try TokenSigner(pem: key.pemRepresentation, certificates: chain)
        #expect(try await verifier.claims(of: Substring(indirect.token(.test()))) == .test())
        let incomplete = try TokenSigner(pem: key.pemRepresentation, certificates: [chain[0]])
        await #expect(throws: TokenError(.unknownKey, "")) {
            try await verifier.claims(of: Substring(incomplete.token(.test(subject: "bob"))))
        }

        clock.advance(by: 2 * 86400)
        await #expect(throws: TokenError(.unknownKey, "")) {
            try await verifier.claims(of: Substring(direct.token(.test(from: 2 * 86400, to: 2 * 86400 + 300))))
        }
    }

    @Test("Certificates of another authority, or of one that is none, do not count")
    func foreignChains() async throws {
        let authority = try TestAuthority()
        var keys = TrustedTokenKeys()
        try keys.trust(authority.certificate)
        let verifier = try Self.verifier(keys)
        let key = P256.Signing.PrivateKey()
        let impostor = try TestAuthority()
        let foreign = [try impostor.certificate(for: key.publicKey), impostor.certificate]
        // Somebody with a certificate for tokens certifies others.
        let holder = P256.Signing.PrivateKey()
        let promoted = [
            try TestAuthority.certificate(
                for: Certificate.PublicKey(key.publicKey),
                subject: "Mallory",
                issuer: "Token service",
                isAuthority: false,
                signedBy: Certificate.PrivateKey(holder)
            ),
            try authority.certificate(for: holder.publicKey),
        ]
        for chain in [foreign, promoted] {
            let signer = try TokenSigner(pem: key.pemRepresentation, certificates: chain)
            await #expect(throws: TokenError(.unknownKey, "")) {
                try await verifier.claims(of: Substring(signer.token(.test())))
            }
        }
        // A good certificate, and the signature of another key.
        let good = try authority.certificate(for: P256.Signing.PrivateKey().publicKey)
        var serializer = DER.Serializer()
        try serializer.serialize(good)
        let x5c = Data(serializer.serializedBytes).base64EncodedString()
        let token = try Self.token(header: #"{"alg":"ES256","x5c":["\#(x5c)"]}"#) {
            try key.signature(for: $0).rawRepresentation
        }
        await #expect(throws: TokenError(.signature, "")) { try await verifier.claims(of: token) }
    }

    @Test("A certificate of the bundle pins its key, with and without the token's own copy of it")
    func pinned() async throws {
        let key = P256.Signing.PrivateKey()
        let certificate = try TestAuthority.selfSigned(key.pemRepresentation)
        var keys = TrustedTokenKeys()
        try keys.trust(certificate)
        let verifier = try Self.verifier(keys)
        for certificates in [[], [certificate]] {
            let signer = try TokenSigner(pem: key.pemRepresentation, certificates: certificates)
            #expect(try await verifier.claims(of: Substring(signer.token(.test()))) == .test())
        }
    }

    // MARK: Claims

    @Test("What a token must say: the issuer, this service among others, and a time that is now, give or take a minute")
    func claims() async throws {
        let signer = try TokenSigner.generated()
        let verifier = try Self.verifier(Self.trusting(signer))
        let good: [JSONWebToken.Claims] = [
            .test(audience: ["x", "test service"]), .test(to: -59), .test(from: 60), .test(subject: ""),
        ]
        for claims in good {
            #expect(try await verifier.claims(of: Substring(signer.token(claims))) == claims)
        }
        var earliest = JSONWebToken.Claims.test()
        earliest.expires = -1 << 53
        var latest = JSONWebToken.Claims.test()
        latest.notBefore = 1 << 53
        var unthinkable = JSONWebToken.Claims.test()
        unthinkable.expires = .min
        let bad: [(JSONWebToken.Claims, TokenError.Code)] = [
            (.test(issuer: "test Issuer"), .issuer), (.test(issuer: ""), .issuer),
            (.test(audience: ["other"]), .audience), (.test(audience: []), .audience),
            (.test(to: -60), .expired), (.test(to: -TestTime.seconds), .expired), (.test(from: 61), .notYetValid),
            (earliest, .expired), (latest, .notYetValid), (unthinkable, .malformed),
        ]
        for (claims, code) in bad {
            await #expect(throws: TokenError(code, "")) {
                try await verifier.claims(of: Substring(signer.token(claims)))
            }
        }
    }

    @Test("A token that is known ends with its time")
    func expiry() async throws {
        let signer = try TokenSigner.generated()
        let clock = Clock()
        let verifier = try Self.verifier(Self.trusting(signer), clock)
        let token = try Substring(signer.token(.test()))
        _ = try await verifier.claims(of: token)
        clock.advance(by: 359)
        #expect(verifier.claimsInMemory(of: token) != nil)
        clock.advance(by: 1)
        #expect(verifier.claimsInMemory(of: token) == nil)
        await #expect(throws: TokenError(.expired, "")) { try await verifier.claims(of: token) }
    }

    @Test("Known tokens take no more memory than they may, and those in use stay")
    func cacheBound() async throws {
        let signer = try TokenSigner.generated()
        var configuration = AuthenticationConfiguration.test
        configuration.cacheSize = 64 * 1024
        let verifier = try TokenVerifier(
            configuration,
            keys: Self.trusting(signer),
            logger: .silent,
            now: { TestTime.date }
        )
        let used = try Substring(signer.token(.test(subject: "used")))
        _ = try await verifier.claims(of: used)
        var tokens: [Substring] = []
        for number in 0..<200 {
            let token = try Substring(signer.token(.test(subject: "\(number)")))
            _ = try await verifier.claims(of: token)
            #expect(verifier.claimsInMemory(of: used) != nil)
            tokens.append(token)
        }
        #expect(tokens.count { verifier.claimsInMemory(of: $0) != nil } < 100)
    }

    @Test("A token that is too long is refused before it is looked at")
    func tooLong() async throws {
        let verifier = try Self.verifier(Self.trusting(TokenSigner.generated()))
        let token = Substring(String(repeating: "a", count: JSONWebToken.maximumLength + 1))
        #expect(verifier.claimsInMemory(of: token) == nil)
        await #expect(throws: TokenError(.malformed, "")) { try await verifier.claims(of: token) }
    }

    // MARK: Files

    @Test("A bundle and a key set are read, and looked at again: new keys count, old ones no longer")
    func files() async throws {
        try await withTemporaryDirectory { directory in
            let bundle = directory + "/bundle.pem"
            let keySet = directory + "/keys.json"
            let key = P256.Signing.PrivateKey()
            let other = P384.Signing.PrivateKey()
            let certificates = try [
                TestAuthority("Another CA").certificate, TestAuthority.selfSigned(key.pemRepresentation),
            ]
            let pem = try certificates.map { try $0.serializeAsPEM().pemString }.joined(separator: "\n")
            try (pem + "\n" + P256.Signing.PrivateKey().pemRepresentation).write(
                toFile: bundle,
                atomically: true,
                encoding: .utf8
            )
            let jwk = try #require(JSONWebKey(.p384(other.publicKey)))
            try Self.keySet(jwk, id: "mine").write(toFile: keySet, atomically: true, encoding: .utf8)

            var configuration = AuthenticationConfiguration.test
            configuration.certificateBundle = bundle
            configuration.keySet = keySet
            let verifier = try await TokenVerifier.load(configuration, logger: .silent, now: { TestTime.date })
            let signer = try TokenSigner(pem: key.pemRepresentation)
            let token = try Substring(signer.token(.test()))
            _ = try await verifier.claims(of: token)
            let named = try Self.token(header: #"{"alg":"ES384","kid":"mine"}"#) {
                try other.signature(for: $0).rawRepresentation
            }
            _ = try await verifier.claims(of: named)
            #expect(try await verifier.refresh() == false)

            // A file that cannot be read changes nothing.
            try "nothing".write(toFile: bundle, atomically: true, encoding: .utf8)
            await #expect(throws: TokenError(.file, "")) { try await verifier.refresh() }
            #expect(verifier.claimsInMemory(of: token) != nil)

            let next = P256.Signing.PrivateKey()
            let certificate = try TestAuthority.selfSigned(next.pemRepresentation)
            try certificate.serializeAsPEM().pemString.write(toFile: bundle, atomically: true, encoding: .utf8)
            #expect(try await verifier.refresh())
            #expect(verifier.claimsInMemory(of: token) == nil)
            await #expect(throws: TokenError(.unknownKey, "")) { try await verifier.claims(of: token) }
            let renewed = try TokenSigner(pem: next.pemRepresentation)
            _ = try await verifier.claims(of: Substring(renewed.token(.test())))
            _ = try await verifier.claims(of: named)
        }
    }

    @Test("As a service it looks at its files from time to time")
    func service() async throws {
        try await withTemporaryDirectory { directory in
            let bundle = directory + "/bundle.pem"
            let keys = [P256.Signing.PrivateKey(), P256.Signing.PrivateKey()]
            let pems = try keys.map { try TestAuthority.selfSigned($0.pemRepresentation).serializeAsPEM().pemString }
            try pems[0].write(toFile: bundle, atomically: true, encoding: .utf8)
            var configuration = AuthenticationConfiguration.test
            configuration.certificateBundle = bundle
            let (pauses, pause) = AsyncStream.makeStream(of: Duration.self)
            let (turns, turn) = AsyncStream.makeStream(of: Void.self)
            let verifier = try await TokenVerifier.load(
                configuration,
                logger: .silent,
                now: { TestTime.date },
                sleep: {
                    pause.yield($0)
                    for await _ in turns { return }
                    throw CancellationError()
                }
            )
            let token = try Substring(TokenSigner(pem: keys[1].pemRepresentation).token(.test()))
            async let running: Void = verifier.run()
            var iterator = pauses.makeAsyncIterator()
            #expect(await iterator.next() == configuration.refreshInterval)
            try pems[1].write(toFile: bundle, atomically: true, encoding: .utf8)
            turn.yield()
            _ = await iterator.next()
            _ = try await verifier.claims(of: token)
            turn.finish()
            try await running
        }
    }

    @Test(
        "A key set that cannot be used is refused; one key of it that is not understood is left out",
        arguments: ["", "{}", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AA"}]}"#, #"{"keys":[{"kty":"EC"}]}"#]
    )
    func badKeySets(_ json: String) throws {
        var keys = TrustedTokenKeys()
        #expect(throws: TokenError(.file, "")) { try keys.trust(keySet: Array(json.utf8)) }
    }

    @Test("Keys of a set are for what the set says")
    func keySetUses() async throws {
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let jwk = try #require(JSONWebKey(.rsa(key.publicKey)))
        var keys = TrustedTokenKeys()
        for use in [#""use":"enc","#, #""alg":"PS256","#, #""alg":"RSA-OAEP","#] {
            #expect(throws: TokenError(.file, "")) {
                try keys.trust(keySet: Array(Self.keySet(jwk, id: "a", more: use).utf8))
            }
        }
        try keys.trust(keySet: Array(Self.keySet(jwk, id: "a", more: #""use":"sig","alg":"RS512","#).utf8))
        let verifier = try Self.verifier(keys)
        let rs512 = try Self.token(header: #"{"alg":"RS512","kid":"a"}"#) {
            try key.signature(for: SHA512.hash(data: $0), padding: .insecurePKCS1v1_5).rawRepresentation
        }
        #expect(try await verifier.claims(of: rs512) == .test())
        let rs256 = try Self.token(header: #"{"alg":"RS256","kid":"a"}"#) {
            try key.signature(for: SHA256.hash(data: $0), padding: .insecurePKCS1v1_5).rawRepresentation
        }
        await #expect(throws: TokenError(.algorithm, "")) { try await verifier.claims(of: rs256) }
        let other = try #require(JSONWebKey(.p256(P256.Signing.PrivateKey().publicKey)))
        #expect(throws: TokenError(.key, "")) { try keys.trust(keySet: Array(Self.keySet(other, id: "a").utf8)) }
    }

    private static func keySet(_ key: JSONWebKey, id: String, more: String = "") throws -> String {
        let json = String(decoding: try JSONWebToken.encoder.encode(key), as: UTF8.self)
        return #"{"keys":[{"kty":"unknown"},{"kid":"\#(id)",\#(more)\#(json.dropFirst())]}"#
    }

    @Test("Settings that cannot be are named")
    func settings() async throws {
        func expect(_ message: String, _ change: (inout AuthenticationConfiguration) -> Void) async {
            var configuration = AuthenticationConfiguration.test
            configuration.keySet = "/nonexistent/keys.json"
            change(&configuration)
            let settled = configuration
            await #expect {
                try await TokenVerifier.load(settled, logger: .silent)
            } throws: {
                "\($0)".contains(message)
            }
        }
        await expect("/nonexistent/keys.json does not exist") { _ in }
        await expect("without a certificate bundle or a key set") { $0.keySet = nil }
        func expectInvalid(_ message: String, _ change: (inout AuthenticationConfiguration) -> Void) {
            var configuration = AuthenticationConfiguration.test
            change(&configuration)
            #expect {
                try TokenVerifier(configuration, keys: TrustedTokenKeys(), logger: .silent)
            } throws: {
                "\($0)".contains(message)
            }
        }
        expectInvalid("the realm must be the URL") { $0.realm = "auth.example/token" }
        expectInvalid("the realm must be the URL") { $0.realm = "" }
        expectInvalid("the realm must be the URL") { $0.realm = "https://a\"b" }
        expectInvalid("the service must have a name") { $0.service = "" }
        expectInvalid("the issuer must have a name") { $0.issuer = "" }
    }
}

extension AuthenticationConfiguration {
    static let test = AuthenticationConfiguration(
        realm: "https://auth.example/token",
        service: "test service",
        issuer: "test issuer"
    )
}

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

func withTemporaryDirectory(_ body: (String) async throws -> Void) async throws {
    let directory = NSTemporaryDirectory() + "token-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await body(directory)
}
