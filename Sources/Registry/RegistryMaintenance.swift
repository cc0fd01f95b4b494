// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import Logging
import ServiceLifecycle

/// What the registry does in the background: drops old uploads, and ends what a killed command has left.
package struct RegistryMaintenance: Service {
    let uploads: UploadService
    let foreign: ForeignChanges?
    /// How long an upload may lie untouched, in seconds.
    let maximumUploadAge: TimeInterval
    let clock: @Sendable () -> Date
    let logger: Logger

    private static let interval = Duration.seconds(30)
    /// After how many of these intervals uploads are looked through.
    private static let stepsPerPurge = 120

    /// Runs until the graceful shutdown. A step that fails is logged and done again with the next.
    package func run() async throws {
        var steps = 0
        while !Task.isCancelled {
            await self.step(purges: steps % Self.stepsPerPurge == 0)
            steps += 1
            do {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.interval) }
            } catch {
                break
            }
        }
    }

    private func step(purges: Bool) async {
        do {
            try self.foreign?.repair()
            if purges { try await self.purge(olderThan: self.maximumUploadAge) }
        } catch {
            self.logger.error("maintenance failed, goes on later", metadata: ["error": "\(error)"])
        }
    }

    /// Drops uploads that nobody has written to for so many seconds.
    /// - Returns: How many there were.
    @discardableResult
    package func purge(olderThan age: TimeInterval) async throws -> Int {
        let removed = try await self.uploads.purge(lastWrittenBefore: self.clock().addingTimeInterval(-age))
        if removed > 0 { self.logger.info("dropped unfinished uploads", metadata: ["count": "\(removed)"]) }
        return removed
    }
}
