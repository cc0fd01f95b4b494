// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GRPCCore
package import Logging
package import NIOSSL
import NotaryAPI
import ServiceLifecycle
import SwiftProtobuf
import Synchronization
package import TUF

/// A signer in another process, ours or notary-signer, over gRPC with TLS.
///
/// Calls go to the connections of all addresses in turn. One that fails because its signer cannot be reached is made again over
/// another, until its time is up: signing and reading change nothing, deleting twice is deleting once, and a key that was made
/// but not heard of is handed out by the next request for it, because it has not signed yet.
///
/// It has to run as a service: calls wait for that.
package final class RemoteSigner: Signer, Service {
    package struct Configuration: Sendable {
        /// Signers that share their keys.
        package var addresses: [SignerAddress]
        /// Connections to each of them.
        package var connections = 2
        /// How long a call may take with all its repetitions.
        package var deadline: Duration = .seconds(10)
        /// How long one attempt may take where another signer could be asked instead.
        package var attemptDeadline: Duration = .seconds(4)
        /// The most bytes of a message to sign. notary-signer takes 4 MiB.
        package var messageLimit = 8 << 20

        package init(addresses: [SignerAddress]) {
            self.addresses = addresses
        }
    }

    /// How long a connection whose call failed is passed over.
    private static let rest = Duration.seconds(1)
    /// The same after one that took all its time.
    private static let longRest = Duration.seconds(10)
    private static let pause = Duration.milliseconds(20)
    private static let grace = Duration.seconds(1)
    /// The parts of notary-signer that a server asks for, by the names that it gives them.
    private static let services = ["grpc.health.v1.Health.KeyManagement", "grpc.health.v1.Health.Signer"]

    private let configuration: Configuration
    private let connections: [SignerConnection]
    private let turn = Atomic<Int>(0)
    private let logger: Logger

    /// - Parameters:
    ///   - configuration: which signers there are, and how long each is waited for.
    ///   - logger: is told of connections that are lost, and of signers that do not answer.
    ///   - context: makes the TLS context of each new connection: the roots that the signer's certificate must lead to, and
    ///     this side's own certificate. Called on event loops: it must not block.
    /// - Throws: when an address is none.
    package init(
        _ configuration: Configuration,
        logger: Logger,
        context: @escaping @Sendable () throws -> NIOSSLContext
    ) throws {
        self.configuration = configuration
        self.logger = logger
        // Neighbours in the list belong to different signers, so that the second attempt asks another one.
        self.connections = try (0..<max(1, configuration.connections)).flatMap { _ in
            try configuration.addresses.map { try SignerConnection($0, context: context) }
        }
    }

    /// Keeps the connections until the service group shuts down or the task is cancelled. Calls that are made have a little time
    /// to finish then; a connection to a signer that says nothing is given up.
    package func run() async throws {
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for connection in self.connections {
                    group.addTask {
                        try await connection.run()
                        return false
                    }
                }
                group.addTask {
                    try? await gracefulShutdown()
                    try? await Task.sleep(for: Self.grace)
                    return true
                }
                for _ in self.connections { if try await group.next() == true { break } }
                group.cancelAll()
            }
        } onGracefulShutdown: {
            for connection in self.connections { connection.beginGracefulShutdown() }
        }
    }

    // MARK: - Signer

    package func createKey(algorithm: KeyType, gun: String, role: RoleName) async throws -> PublicKey {
        let request = Proto_CreateKeyRequest.with {
            $0.algorithm = algorithm.name
            $0.gun = gun
            $0.role = role.text
        }
        let reply = try await self.call("CreateKey") { connection, options in
            try await connection.keys.createKey(request, options: options)
        }
        return try Self.publicKey(reply.publicKey, reply.keyInfo)
    }

    package func publicKey(_ id: KeyID) async throws -> PublicKey? {
        do {
            let reply = try await self.call("GetKeyInfo") { connection, options in
                try await connection.keys.getKeyInfo(.with { $0.id = id.text }, options: options)
            }
            let key = try Self.publicKey(reply.publicKey, reply.keyInfo)
            guard key.id == id else { throw Self.wrongReply("the key \(key.id) for \(id)") }
            return key
        } catch let error as SignerError where error.code == .keyNotFound {
            return nil
        }
    }

    package func sign(_ message: [UInt8], with id: KeyID) async throws -> Signature {
        guard message.count <= self.configuration.messageLimit else {
            throw SignerError(
                .unavailable,
                "a message of \(message.count) bytes is not sent to the signer: "
                    + "\(self.configuration.messageLimit) are allowed"
            )
        }
        let request = Proto_SignatureRequest.with {
            $0.keyID = .with { $0.id = id.text }
            $0.content = Data(message)
        }
        let reply = try await self.call("Sign") { connection, options in
            try await connection.signer.sign(request, options: options)
        }
        guard reply.keyInfo.keyID.id == id.text else {
            throw Self.wrongReply("a signature of \(reply.keyInfo.keyID.id.prefix(64)) for \(id)")
        }
        // Whoever asked verifies it: nothing that a signer says is taken for true.
        return Signature(
            keyID: id,
            method: SignatureMethod(reply.algorithm.algorithm),
            bytes: Array(reply.content)
        )
    }

    package func deleteKey(_ id: KeyID) async throws {
        _ = try await self.call("DeleteKey") { connection, options in
            try await connection.keys.deleteKey(.with { $0.id = id.text }, options: options)
        }
    }

    /// Asks each address whether its services are in order; one that is suffices.
    package func check() async throws {
        for service in Self.services {
            let reply = try await self.call("Check") { connection, options in
                try await connection.health.check(.with { $0.service = service }, options: options)
            }
            guard reply.status == .serving else {
                throw SignerError(.unavailable, "the signer says that \(service) is not in order: see its log")
            }
        }
    }

    // MARK: - Calls

    /// Makes a call, and makes it again while signers cannot be reached and there is time.
    private func call<Reply: Sendable>(
        _ method: String,
        _ body: @Sendable (SignerConnection, CallOptions) async throws -> Reply
    ) async throws -> Reply {
        let deadline = ContinuousClock.now + self.configuration.deadline
        let attempts = max(3, self.connections.count + 1)
        var attempt = 1
        while true {
            let connection = self.next()
            var options = CallOptions.defaults
            let remaining = deadline - .now
            options.timeout =
                self.configuration.addresses.count > 1
                ? min(remaining, self.configuration.attemptDeadline) : remaining
            options.maxRequestMessageBytes = self.configuration.messageLimit + 4096
            do {
                return try await body(connection, options)
            } catch let error as RPCError {
                guard self.mayRepeat(error), attempt < attempts, deadline - .now > Self.pause else {
                    throw self.failure(error, method, at: connection.address)
                }
                connection.rest(for: error.code == .deadlineExceeded ? Self.longRest : Self.rest)
            }
            try await Task.sleep(for: Self.pause * attempt)
            attempt += 1
        }
    }

    private func next() -> SignerConnection {
        let start = self.turn.wrappingAdd(1, ordering: .relaxed).newValue & Int.max
        let candidates = self.connections.indices.lazy.map {
            self.connections[(start % self.connections.count + $0) % self.connections.count]
        }
        return candidates.first { !$0.isResting } ?? self.connections[start % self.connections.count]
    }

    private func mayRepeat(_ error: RPCError) -> Bool {
        switch error.code {
        case .unavailable: true
        case .deadlineExceeded: self.configuration.addresses.count > 1
        default: false
        }
    }

    /// What the other end's status means. Its message comes from there, so it is bounded.
    private func failure(_ error: RPCError, _ method: String, at address: SignerAddress) -> any Error {
        if Task.isCancelled { return CancellationError() }
        let message = String(error.message.prefix(512))
        switch error.code {
        case .notFound: return SignerError(.keyNotFound, message)
        case .unknown where message.contains("not supported"), .invalidArgument:
            return SignerError(.unsupportedAlgorithm, message)
        default: break
        }
        self.logger.warning(
            "the signer failed a call",
            metadata: [
                "method": "\(method)", "signer": "\(address)", "status": "\(error.code)", "error": "\(error)",
            ]
        )
        switch error.code {
        case .unavailable:
            return SignerError(.unavailable, "the signer at \(address) cannot be reached: \(Self.reason(error))")
        case .deadlineExceeded:
            return SignerError(.unavailable, "the signer at \(address) did not answer in time")
        default:
            return SignerError(.unavailable, "the signer at \(address) failed: \(error.code): \(message)")
        }
    }

    /// The innermost cause, which names what is wrong; those around it say that something is.
    private static func reason(_ error: RPCError) -> String {
        var cause: any Error = error
        while let inner = (cause as? RPCError)?.cause { cause = inner }
        return String(((cause as? RPCError)?.message ?? "\(cause)").prefix(512))
    }

    private static func publicKey(
        _ bytes: some Sequence<UInt8>,
        _ info: Proto_KeyInfo
    ) throws -> PublicKey {
        let key = PublicKey(type: KeyType(info.algorithm.algorithm), bytes: Array(bytes))
        guard key.id.text == info.keyID.id else {
            throw Self.wrongReply("a key under the id \(info.keyID.id.prefix(64)), and it is \(key.id)")
        }
        return key
    }

    private static func wrongReply(_ what: String) -> SignerError {
        SignerError(.unavailable, "the signer sent what nobody asked for: \(what)")
    }
}
