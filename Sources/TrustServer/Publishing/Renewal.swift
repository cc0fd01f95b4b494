// SPDX-License-Identifier: Apache-2.0

import Logging
import NotaryAPI
import ServiceLifecycle
import TUF

/// Renews timestamps and snapshots in the background, well before they expire, so that readers never wait for a signature and
/// an outage of the signer is not felt for days.
final class Renewal: Service, Sendable {
    private let collections: Collections
    private let refresher: Refresher
    private let adoption: Adoption
    private let logger: Logger
    private let sleep: @Sendable (Duration) async throws -> Void

    init(
        collections: Collections,
        refresher: Refresher,
        adoption: Adoption,
        logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.collections = collections
        self.refresher = refresher
        self.adoption = adoption
        self.logger = logger
        self.sleep = sleep
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var hasAdopted = false
            while !Task.isCancelled {
                do {
                    if !hasAdopted { try await self.adoption.run() }
                    hasAdopted = true
                    try await self.renewAll()
                } catch {
                    self.logger.error("looking for what to renew failed", metadata: ["error": "\(error)"])
                }
                let interval = self.collections.configuration.renewalInterval
                do { try await self.sleep(interval + interval * Double.random(in: 0..<0.1)) } catch { break }
            }
        }
    }

    /// Renews everything whose time has come.
    /// - Returns: how many collections were looked after.
    @discardableResult
    func renewAll() async throws -> Int {
        let batch = max(1, self.collections.configuration.renewalBatch)
        var count = 0
        while !Task.isCancelled {
            let due = try await self.collections.store.due(at: self.seconds, limit: batch)
            for gun in due where !Task.isCancelled { try await self.renew(gun) }
            count += due.count
            if due.count < batch { break }
        }
        return count
    }

    private var seconds: Int64 { self.collections.milliseconds / 1000 }

    private func renew(_ gun: GUN) async throws {
        let configuration = self.collections.configuration
        let now = self.collections.now()
        // A collection that cannot be renewed must not keep the others from their turn.
        var next = self.seconds + max(1, configuration.renewalRetry)
        var pointer: TimestampPointer?
        do {
            let head = try await self.refresher.refreshed(
                gun,
                timestampMargin: configuration.timestampMargin,
                snapshotMargin: configuration.snapshotMargin
            )
            pointer = head?.pointer
            if let head, let root = try await self.refresher.root(of: head, at: now) {
                let due = self.refresher.metadata.renewAt(
                    timestamp: head.timestampPayload.expires,
                    snapshot: try await self.refresher.renewable(head.snapshotPayload, root: root)
                )
                next = max(next, due)
            }
        } catch {
            self.logger.error("a collection was not renewed", metadata: ["gun": "\(gun)", "error": "\(error)"])
            pointer = try await self.collections.store.pointer(of: gun)
        }
        try await self.collections.store.renew(gun, at: next, ifAt: pointer)
    }
}
