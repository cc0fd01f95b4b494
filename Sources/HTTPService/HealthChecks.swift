// SPDX-License-Identifier: Apache-2.0

package import Logging
import ServiceLifecycle
import Synchronization

/// Named checks of what a server depends on, run in the background so that asking for health costs nothing.
package final class HealthChecks: Service, Sendable {
    /// Returns when all is well; throws what is wrong.
    package typealias Check = @Sendable () async throws -> Void

    private struct State {
        var checks: [String: Check] = [:]
        var failures: [String: String] = [:]
    }

    private let state = Mutex(State())
    private let interval: Duration
    private let sleep: @Sendable (Duration) async throws -> Void
    private let logger: Logger

    /// - Parameters:
    ///   - interval: The pause between two rounds.
    ///   - logger: Takes what changes.
    ///   - sleep: Waits for that long; tests give their own.
    package init(
        interval: Duration = .seconds(10),
        logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.interval = interval
        self.logger = logger
        self.sleep = sleep
    }

    /// Adds a check, or replaces the one of that name. It counts as passed until its first round.
    package func register(_ name: String, _ check: @escaping Check) {
        self.state.withLock { $0.checks[name] = check }
    }

    /// What failed in the last round: the error's text under the check's name. Empty when all is well.
    package var failures: [String: String] {
        self.state.withLock { $0.failures }
    }

    /// What came of each check in the last round: the error's text, or nil.
    package var results: [String: String?] {
        self.state.withLock { state in
            Dictionary(uniqueKeysWithValues: state.checks.keys.map { ($0, state.failures[$0]) })
        }
    }

    /// Runs all checks once, side by side.
    package func poll() async {
        let checks = self.state.withLock { $0.checks }
        await withTaskGroup(of: (String, String?).self) { group in
            for (name, check) in checks {
                group.addTask {
                    do {
                        try await check()
                        return (name, nil)
                    } catch {
                        return (name, "\(error)")
                    }
                }
            }
            for await (name, failure) in group {
                self.record(failure, of: name)
            }
        }
    }

    private func record(_ failure: String?, of name: String) {
        guard !Task.isCancelled else { return }
        let previous = self.state.withLock { state in
            let previous = state.failures[name]
            state.failures[name] = failure
            return previous
        }
        switch (previous, failure) {
        case (nil, let failure?):
            self.logger.error("health check failed", metadata: ["check": "\(name)", "error": "\(failure)"])
        case (_?, nil):
            self.logger.notice("health check passes again", metadata: ["check": "\(name)"])
        default:
            break
        }
    }

    /// Polls until the service group shuts down or the task is cancelled.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.poll()
                do { try await self.sleep(self.interval) } catch { break }
            }
        }
    }
}
