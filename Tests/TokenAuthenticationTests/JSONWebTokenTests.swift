// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import FoundationEssentials
import SwiftASN1
import Testing
import X509

@testable import TokenAuthentication

struct JSONWebTokenTests {
    /// Made by OpenSSL, which also told the names of its public key.
    private static let sec1 = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIOM7lxOsx/VpPKdV26aIOTRUJYUaueQIA7grp1Qe/IRzoAoGCCqGSM49
        AwEHoUQDQgAEGQzfahK4Okgvoceknn8pE9AokuV1ZzBsUmVWtQUO4zoRp11JtsC1
        CpoMzEUZQQdG9Jo3HPENMi/3bLhc2BrIeQ==
        -----END EC PRIVATE KEY-----
        """

    @Test("A key has the name that libtrust gives it")
    func libtrustID() throws {
        let signer = try TokenSigner(pem: Self.sec1)
        #expect(
            signer.verificationKey.libtrustID == "CJF2:GWJU:UL7S:BFYP:CLBO:MJST:2MIH:N33T:77E3:P5BW:K2WX:KZ4P"
        )
    }

    @Test("Keys have the thumbprints of RFC 7638 and RFC 8037")
    func thumbprints() throws {
        let rsa = #"""
            {"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKR
            XjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0
            zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEg
            U8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}
            """#.filter { !$0.isWhitespace }
        let ed25519 = #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        func thumbprint(_ json: String) throws -> String {
            try JSONDecoder().decode(JSONWebKey.self, from: Data(json.utf8)).verificationKey().thumbprint
        }
        #expect(try thumbprint(rsa) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        #expect(try thumbprint(ed25519) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    }

    @Test("A signed token is read again, with every kind of key")
    func roundTrip() throws {
        let keys: [(TokenAlgorithm, String)] = [
            (.es256, Self.sec1),
            (.es384, P384.Signing.PrivateKey().pemRepresentation),
            (.es512, P521.Signing.PrivateKey().pemRepresentation),
            (.rs256, try _RSA.Signing.PrivateKey(keySize: .bits2048).pemRepresentation),
        ]
        let claims = JSONWebToken.Claims.test(access: [.repository("a", "pull", "push"), .catalog])
        for (algorithm, pem) in keys {
            let signer = try TokenSigner(pem: pem)
            let token = try JSONWebToken.Unverified(try signer.token(claims))
            #expect(signer.algorithm == algorithm)
            #expect(token.header.algorithm == algorithm)
            #expect(token.header.keyID == signer.verificationKey.libtrustID)
            #expect(token.header.certificates == nil)
            #expect(try token.claims(signedBy: signer.verificationKey) == claims)
            #expect(try TokenSigner(pem: signer.pem).verificationKey == signer.verificationKey)
            let other = try TokenSigner.generated().verificationKey
            #expect(throws: TokenError(algorithm == .es256 ? .signature : .algorithm, "")) {
                try token.claims(signedBy: other)
            }
        }
    }

    @Test("A token carries the certificates of its key, the key's own first")
    func certificates() throws {
        let authority = try TestAuthority()
        let key = P256.Signing.PrivateKey()
        let chain = [try authority.certificate(for: key.publicKey), authority.certificate]
        let signer = try TokenSigner(pem: key.pemRepresentation, certificates: chain)
        let token = try JSONWebToken.Unverified(try signer.token(.test()))
        let certificates = try #require(token.header.certificates)
        #expect(try certificates.map { try Certificate(derEncoded: $0) } == chain)
        #expect(throws: TokenError(.key, "")) {
            try TokenSigner(pem: key.pemRepresentation, certificates: chain.reversed())
        }
    }

    @Test("Claims are written as Docker's servers read them")
    func claims() throws {
        func json(_ claims: JSONWebToken.Claims) throws -> String {
            try String(decoding: JSONWebToken.encoder.encode(claims), as: UTF8.self)
        }
        #expect(
            try json(.test(subject: "", access: [.repository("a/b", "pull")])) == #"""
                {"access":[{"actions":["pull"],"name":"a/b","type":"repository"}],"aud":"test service","exp":1800000300,\#
                "iat":1800000000,"iss":"test issuer","jti":"1","nbf":1800000000,"sub":""}
                """#
        )
        #expect(try json(.test(audience: ["a", "b"])).contains(#""aud":["a","b"]"#))
    }

    @Test(
        "Claims of other issuers are understood",
        arguments: [
            #"{"iss":"i","aud":"s","exp":1800000300}"#,
            #"{"iss":"i","aud":["s"],"exp":1800000300.75,"nbf":null,"access":null,"sub":null,"extra":{"a":[1]}}"#,
        ]
    )
    func foreignClaims(_ json: String) throws {
        let claims = try JSONDecoder().decode(JSONWebToken.Claims.self, from: Data(json.utf8))
        #expect(claims.audience == ["s"])
        #expect(claims.expires == 1_800_000_300)
        #expect(claims.notBefore == 0)
        #expect(claims.access.isEmpty)
    }

    @Test(
        "Claims that cannot be are refused",
        arguments: [
            #"{"iss":"i","aud":"s"}"#, #"{"iss":"i","aud":"s","exp":1e300}"#, #"{"iss":"i","aud":"s","exp":"1"}"#,
            #"{"iss":1,"aud":"s","exp":1}"#, #"{"aud":{},"exp":1}"#, #"{"exp":1,"access":[{"type":"repository"}]}"#,
            "[]",
            #"{"exp":1,"access":"repository:a:pull"}"#,
        ]
    )
    func badClaims(_ json: String) {
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(JSONWebToken.Claims.self, from: Data(json.utf8))
        }
    }

    @Test(
        "What is no token is refused before any key is tried",
        arguments: [
            ("", TokenError.Code.malformed), ("a.b", .malformed), ("a.b.c.d", .malformed), ("..", .malformed),
            ("e30.e30.", .malformed), ("{}.e30.AA", .malformed), ("e30=.e30.AA", .malformed),
            ("W10.e30.AA", .malformed),
            (Self.token(#"{"alg":"none"}"#), .algorithm), (Self.token(#"{"alg":"None"}"#), .algorithm),
            (Self.token(#"{"alg":"HS256"}"#), .algorithm), (Self.token(#"{"alg":"PS256"}"#), .algorithm),
            (Self.token(#"{"alg":"es256"}"#), .algorithm), (Self.token(#"{"alg":""}"#), .algorithm),
            (Self.token(#"{"alg":"ES256","crit":["b64"],"b64":false}"#), .malformed),
            (Self.token(#"{"alg":"ES256","x5c":["!"]}"#), .malformed),
            (Self.token(#"{"alg":"ES256","x5c":"MIIB"}"#), .malformed),
            (Self.token(#"{"alg":"ES256","x5c":["","","","","","","","",""]}"#), .malformed),
            (Self.token(#"{"alg":"ES256","jwk":{"kty":"oct","k":"AA"}}"#), .key),
            (Self.token(#"{"kid":"\#(String(repeating: "a", count: 32 * 1024))"}"#), .malformed),
        ]
    )
    func notAToken(_ token: String, _ code: TokenError.Code) {
        #expect(throws: TokenError(code, "")) { try JSONWebToken.Unverified(token) }
    }

    private static func token(_ header: String) -> String {
        "\(Base64URL.encode(header.utf8)).e30.AA"
    }

    @Test("Keys that are too weak, too large or damaged are refused")
    func badKeys() throws {
        let weak = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024))
        #expect(throws: TokenError(.key, "")) { try TokenVerificationKey(.rsa(weak.publicKey)) }
        #expect(throws: TokenError(.key, "")) { try TokenSigner(pem: "-----BEGIN PRIVATE KEY-----") }
        let keys: [JSONWebKey] = [
            .elliptic(curve: "P-256", x: "AA", y: "AA"), .elliptic(curve: "secp256k1", x: "AA", y: "AA"),
            .octet(curve: "X25519", x: "AA"), .rsa(modulus: "AQ", exponent: "AQ"), .rsa(modulus: "", exponent: ""),
            .rsa(modulus: String(repeating: "_", count: 2049), exponent: "AQAB"),
            .elliptic(
                curve: "P-256",
                x: String(repeating: "A", count: 43),
                y: String(repeating: "A", count: 43)
            ),
        ]
        for key in keys {
            #expect(throws: TokenError(.key, "")) { try key.verificationKey() }
        }
    }
}
