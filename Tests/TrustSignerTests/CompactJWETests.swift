// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import KeyStore
import TUF
import Testing

@testable import TrustSigner

/// A row that Go's notary-signer 0.7 wrote to PostgreSQL.
enum NotarySignerRow {
    static let keyID = KeyID("48243cbb3df8ac00d37e5305d821cf5d71759df81c3a64ef8aed40f90d11cccf")
    static let alias = "timestamp_1"
    static let passphrase = "signerpass123"
    static let publicKey =
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiCRoA+fVzZZsVM6pcbeMb+LaFup94eabuiXQHA9YmiBtpg7QbLdbefuzoWNWtxn7NEWhNWvl1PjhCY2Pf"
        + "h7BQA=="
    static let jwe =
        "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJlbmMiOiJBMjU2R0NNIiwicDJjIjo4MTkyLCJwMnMiOiJOTXB5ODZhMkhIQWZYZEo5In0.KSuqElDD7"
        + "ZcWhCmwV8J9GV_F-mWopX7Vskk2qJO7loJGp2FlVO8BLw.-esdU9EAL8er09xY.x-Mwe_wbNZ8L7cphrwStRhqlL9MrIOKmxA_fuZ3unUKZszlf8nPkAt"
        + "wf0YGcq-UnGPlEGvZk5P4aqEEpnIPmNyL4_E8V_QG8JMsQUzfXzMRjMtt4PvTCkgJfVOrEe3T8GkcHOoSOeP_bhz2z9bWZ02mqvW9eIHeUEQ.La4taXlV"
        + "RJIozJfy47D4JQ"
    static let plaintext =
        "30770201010420d7a001e4654b25a982ad1480ca2d52182fd814d414379962e1e62260f4926e6ca00a06082a8648ce3d030107a144034200"
        + "0488246803e7d5cd966c54cea971b78c6fe2da16ea7de1e69bba25d01c0f589a206da60ed06cb75b79fbb3a16356b719fb3445a1356be5d4"
        + "f8e1098d8f7e1ec140"
}

@Suite("Stored keys")
struct CompactJWETests {
    private static let encryption = KeyEncryption(iterations: 1000)

    private static func code(_ body: () throws -> Void) -> KeyStoreError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? KeyStoreError)?.code
        }
    }

    @Test("what Go's signer encrypted is read")
    func notaryVector() throws {
        let passphrase = Passphrase(NotarySignerRow.passphrase)
        let plaintext = try Self.encryption.decrypt(NotarySignerRow.jwe, passphrase: passphrase)
        #expect(Hexadecimal.encode(plaintext) == NotarySignerRow.plaintext)
        let key = try PrivateKey(signerForm: plaintext, type: .ecdsa)
        #expect(key.publicKey.id == NotarySignerRow.keyID)
        #expect(try key.signerForm == plaintext)
    }

    @Test("a wrong passphrase is told as such")
    func wrongPassphrase() throws {
        let code = Self.code {
            _ = try Self.encryption.decrypt(NotarySignerRow.jwe, passphrase: Passphrase("signerpass124"))
        }
        #expect(code == .wrongPassphrase)
    }

    @Test("what is written is read back, and says how it was made")
    func roundTrip() throws {
        let passphrase = Passphrase("a passphrase")
        let text = try Self.encryption.encrypt([1, 2, 3], passphrase: passphrase)
        #expect(try Self.encryption.decrypt(text, passphrase: passphrase) == [1, 2, 3])
        #expect(try KeyEncryption(iterations: 5).decrypt(text, passphrase: passphrase) == [1, 2, 3])
        let encrypted = try CompactJWE(text)
        #expect(encrypted.derivation.algorithm == .hs512a256kw)
        #expect(encrypted.derivation.iterations == 1000)
        #expect(encrypted.derivation.salt.count == 16)
        #expect(try Self.encryption.encrypt([1, 2, 3], passphrase: passphrase) != text)
    }

    @Test("the default cost is what OWASP asks for PBKDF2-HMAC-SHA512")
    func cost() {
        #expect(LocalSigner.Configuration().iterations >= 210_000)
    }

    @Test("no change of any character is accepted")
    func changed() throws {
        let passphrase = Passphrase("a passphrase")
        let encryption = KeyEncryption(iterations: 2)
        let text = Array(try encryption.encrypt(Array("secret key bytes".utf8), passphrase: passphrase))
        for index in text.indices {
            var changed = text
            changed[index] = changed[index] == "A" ? "w" : "A"
            let code = Self.code { _ = try encryption.decrypt(String(changed), passphrase: passphrase) }
            #expect(code != nil, "character \(index)")
        }
    }

    @Test(
        "what is no JWE of ours is refused",
        arguments: [
            "", ".", "....", "a.b.c.d.e", "e30.AAAA.AAAA.AAAA.AAAA", String(repeating: "A", count: 100_000),
            // {"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2000000000,"p2s":"NMpy86a2HHAfXdJ9"}
            "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJlbmMiOiJBMjU2R0NNIiwicDJjIjoyMDAwMDAwMDAwLCJwMnMiOiJOTXB5ODZhMkhIQWZYZEo5In0.AA.AA.AA.AA",
            // {"alg":"dir","enc":"A256GCM","p2c":1,"p2s":"NMpy86a2HHAfXdJ9"}
            "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwicDJjIjoxLCJwMnMiOiJOTXB5ODZhMkhIQWZYZEo5In0.AA.AA.AA.AA",
        ]
    )
    func refused(text: String) {
        let code = Self.code { _ = try Self.encryption.decrypt(text, passphrase: Passphrase("x")) }
        #expect(code == .malformed || code == .unsupported)
    }
}
