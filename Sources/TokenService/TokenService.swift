// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import FoundationEssentials
package import HTTPService
package import Logging
import NIOHTTP1
import ServiceLifecycle
import Synchronization

/// A token service for those who have none: knows users and rules, and gives out short-lived tokens that the registry and the
/// trust server verify (Docker's token authentication).
package final class TokenService: Service, Sendable {
    /// The certificates that verify its tokens, for those who are told of a file.
    package var certificatesPath: String { self.keys.certificatesPath }
    /// Its keys, for those in the same process.
    package let keys: TokenKeys
    private let configuration: TokenServiceConfiguration
    private let access: AccessDirectory
    private let responder: TokenResponder
    private let sleep: @Sendable (Duration) async throws -> Void
    private let logger: Logger

    /// Reads users and rules, and makes the keys that are missing.
    /// - Parameters:
    ///   - metrics: takes the counts of what was asked.
    ///   - now: the calendar time, that tokens expire by.
    ///   - clock: the time since any fixed point, that limits and memories go by.
    ///   - sleep: waits for that long.
    /// - Throws: ``UsersFileError``, ``RulesError``, `TLSIdentityError`, `FileSystemError`, `TokenError`.
    package static func open(
        _ configuration: TokenServiceConfiguration,
        logger: Logger,
        metrics: Metrics = Metrics(),
        now: @escaping @Sendable () -> Date = { Date() },
        clock: @escaping @Sendable () -> Duration = TokenService.elapsed,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) async throws -> TokenService {
        let (access, keys) = try await BlockingWork.run {
            let access = try AccessDirectory(
                users: configuration.usersPath,
                rules: configuration.rulesPath,
                logger: logger
            )
            return (access, try TokenKeys(directory: configuration.directory, now: now))
        }
        return TokenService(configuration, access, keys, logger, metrics, now, clock, sleep)
    }

    private init(
        _ configuration: TokenServiceConfiguration,
        _ access: AccessDirectory,
        _ keys: TokenKeys,
        _ logger: Logger,
        _ metrics: Metrics,
        _ now: @escaping @Sendable () -> Date,
        _ clock: @escaping @Sendable () -> Duration,
        _ sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.configuration = configuration
        self.access = access
        self.keys = keys
        self.logger = logger
        self.sleep = sleep
        self.responder = TokenResponder(
            configuration: configuration,
            access: access,
            keys: keys,
            metrics: metrics,
            logger: logger,
            now: { Int64(now().timeIntervalSince1970) },
            clock: clock
        )
    }

    private static let start = ContinuousClock.now

    /// The time since the process asked first.
    @Sendable package static func elapsed() -> Duration { ContinuousClock.now - self.start }

    /// The names under which clients know the registries, `host` or `host:port`: a trust server's collection of an image is
    /// called by them, and rules are not.
    package func setRegistryHosts(_ hosts: Set<String>) {
        self.responder.registryHosts.withLock { $0 = Set(hosts.map { $0.lowercased() }) }
    }

    /// Answers for the service's path, and leaves everything else to another.
    /// - Parameter other: nil when the service has an address of its own.
    package func responder(before other: (any HTTPResponder)?) -> any HTTPResponder {
        TokenServiceFront(path: self.configuration.path, service: self.responder, other: other)
    }

    /// Looks at the files of users and rules once, and at the keys if it is time. What cannot be used is logged.
    package func refresh(keys isTimeForKeys: Bool = true) async {
        let (access, keys, logger) = (self.access, self.keys, self.logger)
        try? await BlockingWork.run {
            access.refresh()
            guard isTimeForKeys else { return }
            do {
                if try keys.refresh() { logger.notice("token signing key replaced") }
            } catch {
                logger.error("the token signing key cannot be looked after", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Refreshes until the service group shuts down or the task is cancelled.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var sinceKeys = Duration.zero
            while !Task.isCancelled {
                do { try await self.sleep(self.configuration.interval) } catch { break }
                sinceKeys += self.configuration.interval
                let isTimeForKeys = sinceKeys >= self.configuration.keyInterval
                if isTimeForKeys { sinceKeys = .zero }
                await self.refresh(keys: isTimeForKeys)
            }
        }
    }
}

/// Puts the token service before another responder.
struct TokenServiceFront: HTTPResponder {
    let path: String
    let service: TokenResponder
    let other: (any HTTPResponder)?

    func immediateResponse(to request: HTTPRequest) -> HTTPResponse? {
        request.path == self.path ? nil : self.other?.immediateResponse(to: request)
    }

    func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        if request.path == self.path { return try await self.service.respond(to: request) }
        if let other = self.other { return try await other.respond(to: request) }
        return HTTPResponse(status: .notFound)
    }

    func response(toExcess excess: HTTPClientExcess, _ request: HTTPRequest) -> HTTPResponse {
        (self.other ?? self.service).response(toExcess: excess, request)
    }
}
