// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NotaryAPI
import TUF

/// A signer whose calls are timed.
struct MeasuredSigner: Signer {
    let signer: any Signer
    let calls: MetricHistogram

    func createKey(algorithm: KeyType, gun: String, role: RoleName) async throws -> PublicKey {
        try await self.timed("create_key") {
            try await self.signer.createKey(algorithm: algorithm, gun: gun, role: role)
        }
    }

    func publicKey(_ id: KeyID) async throws -> PublicKey? {
        try await self.timed("public_key") { try await self.signer.publicKey(id) }
    }

    func sign(_ message: [UInt8], with id: KeyID) async throws -> Signature {
        try await self.timed("sign") { try await self.signer.sign(message, with: id) }
    }

    func deleteKey(_ id: KeyID) async throws {
        try await self.timed("delete_key") { try await self.signer.deleteKey(id) }
    }

    func check() async throws {
        try await self.timed("check") { try await self.signer.check() }
    }

    private func timed<Result>(_ call: String, _ body: () async throws -> Result) async rethrows -> Result {
        let start = ContinuousClock.now
        defer { self.calls.observe((ContinuousClock.now - start).seconds, call) }
        return try await body()
    }
}

extension SignerError.Code {
    /// What metrics call it.
    var label: String {
        switch self {
        case .keyNotFound: "key_not_found"
        case .unsupportedAlgorithm: "unsupported_algorithm"
        case .passphrase: "passphrase"
        case .unavailable: "unavailable"
        }
    }
}
