// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRPCCore
import NotaryAPI
import SignerAPI
import SwiftProtobuf
import TUF

/// `proto.KeyManagement`, with the statuses and the words of notary-signer.
struct KeyManagementService: Proto_KeyManagement.SimpleServiceProtocol {
    /// What notary-signer's tables hold of a name.
    private static let nameLimit = 255

    let signer: LocalSigner
    let calls: SignerCalls

    func createKey(request: Proto_CreateKeyRequest, context: ServerContext) async throws -> Proto_PublicKey {
        let details = ["algorithm": request.algorithm, "gun": request.gun, "role": request.role]
        return try await self.calls.perform(context, details) {
            guard request.gun.count <= Self.nameLimit, request.role.count <= Self.nameLimit else {
                throw SignerError(.unavailable, "a name of more than \(Self.nameLimit) characters cannot be stored")
            }
            let key = try await self.signer.createKey(
                algorithm: KeyType(request.algorithm),
                gun: request.gun,
                role: RoleName(request.role)
            )
            return .with {
                $0.keyInfo = Proto_KeyInfo(key)
                $0.publicKey = Data(key.bytes)
            }
        } status: { error in
            guard let error = error as? SignerError, error.code == .unsupportedAlgorithm else {
                return RPCError(code: .internalError, message: "Key creation failed")
            }
            return RPCError(code: .unknown, message: error.message)
        }
    }

    func deleteKey(request: Proto_KeyID, context: ServerContext) async throws -> Proto_Void {
        try await self.calls.perform(context, ["key": request.id]) {
            try await self.signer.deleteKey(KeyID(request.id))
            return Proto_Void()
        } status: { _ in
            RPCError(code: .internalError, message: "Key deletion for KeyID \(request.id.prefix(64)) failed")
        }
    }

    func getKeyInfo(request: Proto_KeyID, context: ServerContext) async throws -> Proto_GetKeyInfoResponse {
        try await self.calls.perform(context, ["key": request.id]) {
            guard let (key, role) = try await self.signer.keyInfo(KeyID(request.id)) else {
                throw RPCError(code: .notFound, message: "key \(request.id.prefix(64)) not found")
            }
            return .with {
                $0.keyInfo = Proto_KeyInfo(key)
                $0.publicKey = Data(key.bytes)
                $0.role = role.text
            }
        } status: {
            // notary-signer says here, too, that there is no such key, and a server then makes a new one.
            RPCError(code: .unavailable, message: "key \(request.id.prefix(64)) cannot be read now: \($0)")
        }
    }
}

extension Proto_KeyInfo {
    init(_ key: PublicKey) {
        self.init()
        self.keyID = .with { $0.id = key.id.text }
        self.algorithm = .with { $0.algorithm = key.type.name }
    }
}
