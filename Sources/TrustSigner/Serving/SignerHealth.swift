// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import Logging
import SignerAPI
import SwiftProtobuf
import Synchronization

/// `grpc.health.v1.Health`: whether the signer can read its keys. The names of its parts are those that notary-server asks for.
final class SignerHealth: Grpc_Health_V1_Health.SimpleServiceProtocol {
    private static let services: Set = ["", "grpc.health.v1.Health.KeyManagement", "grpc.health.v1.Health.Signer"]
    /// The most that watch at once.
    private static let maximumWatchers = 64
    private static let watchInterval = Duration.seconds(5)

    private struct State {
        var isShuttingDown = false
        var watchers = 0
    }

    private let signer: LocalSigner
    private let logger: Logger
    private let state = Mutex(State())

    init(signer: LocalSigner, logger: Logger) {
        self.signer = signer
        self.logger = logger
    }

    /// From now on nothing is served.
    func beginGracefulShutdown() {
        self.state.withLock { $0.isShuttingDown = true }
    }

    func check(
        request: Grpc_Health_V1_HealthCheckRequest,
        context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard Self.services.contains(request.service) else {
            throw RPCError(code: .notFound, message: "unknown service")
        }
        let status = await self.status()
        return .with { $0.status = status }
    }

    func watch(
        request: Grpc_Health_V1_HealthCheckRequest,
        response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        let isAdmitted = self.state.withLock { state in
            guard state.watchers < Self.maximumWatchers else { return false }
            state.watchers += 1
            return true
        }
        guard isAdmitted else {
            throw RPCError(code: .resourceExhausted, message: "too many watch the signer's health")
        }
        defer { self.state.withLock { $0.watchers -= 1 } }
        var told: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
        while !Task.isCancelled, !context.cancellation.isCancelled {
            let status = Self.services.contains(request.service) ? await self.status() : .serviceUnknown
            if status != told { try await response.write(.with { $0.status = status }) }
            told = status
            // Who watches must not keep the signer from ending.
            guard !self.state.withLock({ $0.isShuttingDown }) else { return }
            try await Task.sleep(for: Self.watchInterval)
        }
    }

    private func status() async -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        guard !self.state.withLock({ $0.isShuttingDown }) else { return .notServing }
        do {
            try await self.signer.check()
            return .serving
        } catch {
            self.logger.error("the signer is not in order", metadata: ["error": "\(error)"])
            return .notServing
        }
    }
}
