// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import ServiceLifecycle

/// Scrubs in the background: whichever instance of a database comes first does it for all of them.
struct ScrubService: Service {
    /// How long after its start a process waits, in seconds.
    private static let firstWait: Int64 = 300
    /// After how many seconds to look again whether it is time, or whether another one has died.
    private static let patience: Int64 = 3_600
    /// How many seconds the clocks of instances may differ.
    private static let tolerance: Int64 = 3_600

    let scrubber: Scrubber
    /// In seconds.
    let interval: Int64
    let bytesPerSecond: Int64
    let metrics: Metrics?
    let logger: Logger

    /// Runs until the graceful shutdown; what is not done then is gone on with later.
    func run() async throws {
        var wait = min(Self.firstWait, self.interval)
        while !Task.isCancelled {
            do {
                let pause = Duration.seconds(wait)
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) }
                try await cancelWhenGracefulShutdown { try await self.scrubIfDue() }
            } catch is CancellationError {
                break
            } catch {
                if Task.isCancelled || Task.isShuttingDownGracefully { break }
                self.logger.error("scrubbing failed, goes on later", metadata: ["error": "\(error)"])
            }
            wait = min(Self.patience, self.interval)
        }
    }

    func scrubIfDue() async throws {
        let now = self.scrubber.now
        let finished = try await self.scrubber.store.state(of: .scrub).finishedAt ?? 0
        // Noted by a clock that was wrong, it may lie in the future.
        guard now - finished >= self.interval || finished > now + Self.tolerance else { return }
        var options = Scrubber.Options()
        options.bytesPerSecond = self.bytesPerSecond
        let logger = self.logger
        var observer = ScrubObserver()
        observer.problem = { problem in
            logger.error(
                "what is kept is not as it should be",
                metadata: [
                    "problem": "\(problem.kind.rawValue)", "digest": "\(problem.digest)",
                    "message": "\(problem.message)",
                    "repositories": "\(Set(problem.affected.map(\.repository)).sorted().prefix(10))",
                ]
            )
        }
        guard let summary = try await self.scrubber.run(options, observer: observer) else { return }
        self.metrics?.gauge(
            "hallmark_registry_scrub_problems",
            help: "What the last scrub of this process found wrong."
        )
        .set(summary.problems)
        self.metrics?.gauge(
            "hallmark_registry_scrub_last_seconds",
            help: "When the last scrub of this process ended, in Unix seconds."
        ).set(self.scrubber.now)
        self.logger.notice(
            "scrubbed what is kept",
            metadata: [
                "blobs": "\(summary.blobs)", "bytes": "\(summary.bytes)", "manifests": "\(summary.manifests)",
                "problems": "\(summary.problems)",
            ]
        )
    }
}
