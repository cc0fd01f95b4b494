// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRPCCore
import NotaryAPI
import SignerAPI
import SwiftProtobuf
import TUF

/// `proto.Signer`, with the statuses and the words of notary-signer.
struct SigningService: Proto_Signer.SimpleServiceProtocol {
    let signer: LocalSigner
    let calls: SignerCalls

    func sign(request: Proto_SignatureRequest, context: ServerContext) async throws -> Proto_Signature {
        let id = KeyID(request.keyID.id)
        let details = ["key": id.text, "bytes": "\(request.content.count)"]
        return try await self.calls.perform(context, details) {
            let signature = try await self.signer.sign(Array(request.content), with: id)
            let type = try await self.signer.publicKey(id)?.type
            return .with {
                $0.keyInfo = .with {
                    $0.keyID = .with { $0.id = id.text }
                    $0.algorithm = .with { $0.algorithm = type?.name ?? "" }
                }
                $0.algorithm = .with { $0.algorithm = signature.method.name }
                $0.content = Data(signature.bytes)
            }
        } status: { error in
            guard let error = error as? SignerError else {
                return RPCError(code: .internalError, message: "signing failed")
            }
            return switch error.code {
            case .keyNotFound: RPCError(code: .notFound, message: "signing key not found: \(id.text.prefix(64))")
            case .unavailable: RPCError(code: .unavailable, message: error.message)
            case .passphrase, .unsupportedAlgorithm: RPCError(code: .internalError, message: error.message)
            }
        }
    }
}
