// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NotaryAPI
import TUF

/// Looks after collections that another program has put into the database, as Notary did before it was replaced, or when it
/// ran again in between: notes whose the server's keys are, which Notary does not write down, when they are to be renewed,
/// and what of them expires.
struct Adoption: Sendable {
    private static let batch: Int64 = 256
    /// The most that the log is told of one by one.
    private static let warningLimit = 20
    /// The most roles of one collection that are looked at.
    private static let roleLimit = 10_000

    let refresher: Refresher
    let logger: Logger

    private var collections: Collections { self.refresher.collections }
    private var store: TrustStore { self.collections.store }
    private var keys: OnlineKeys { self.refresher.metadata.keys }

    /// Goes through what has changed since it was done last: everything, the first time. What this server or another like it
    /// has changed is known already.
    /// - Parameter mayGoOn: asked before each batch.
    /// - Returns: how many collections were adopted; nil when it was not to go on.
    /// - Throws: `DatabaseError`; ``SignerError`` when the signer does not answer.
    @discardableResult
    func run(mayGoOn: () async throws -> Bool = { true }) async throws -> Int? {
        var (from, to) = try await self.store.unadoptedChanges()
        guard from == 0 || from < to else { return 0 }
        var count = 0
        var invalid = 0
        defer {
            if invalid > Self.warningLimit {
                self.logger.warning("what is stored is not valid", metadata: ["collections": "\(invalid)"])
            }
        }
        if from == 0 {
            // There was a time before the changefeed.
            var last = ""
            while true {
                guard try await mayGoOn() else { return nil }
                let names = try await self.store.collections(after: last, limit: Int(Self.batch))
                count += try await self.adopt(names, &invalid)
                guard names.count == Int(Self.batch), let end = names.last else { break }
                last = end
            }
            from = to
        }
        while from < to {
            guard try await mayGoOn() else { return nil }
            let end = min(from + Self.batch, to)
            count += try await self.adopt(try await self.store.collections(changedAfter: from, upTo: end), &invalid)
            try await self.store.noteAdopted(upTo: end)
            from = end
        }
        try await self.store.noteAdopted(upTo: to)
        return count
    }

    private func adopt(_ names: [String], _ invalid: inout Int) async throws -> Int {
        let unknown = try await self.store.unknown(of: names.compactMap { try? GUN($0) })
        for gun in unknown {
            do {
                try await self.adopt(gun)
            } catch let error as TUFError {
                invalid += 1
                guard invalid <= Self.warningLimit else { continue }
                self.logger.warning("what is stored is not valid", metadata: ["gun": "\(gun)", "error": "\(error)"])
            }
        }
        return unknown.count
    }

    /// - Throws: `TUFError` when what is stored is not valid.
    private func adopt(_ gun: GUN) async throws {
        guard let pointer = try await self.store.pointer(of: gun) else { return }
        do {
            // Should somebody have been faster, nothing is noted, and he has noted it.
            guard let stored = try await self.store.head(of: gun) else { return }
            let head = try CollectionHead(
                gun: gun,
                timestamp: stored.timestamp,
                snapshot: stored.snapshot,
                configuration: self.collections.configuration,
                checkedAt: 0
            )
            guard let root = try await self.root(of: head) else {
                throw TUFError(.invalid, role: .root, "there is none")
            }
            try await self.claimKeys(of: root, for: gun)
            let snapshot = try await self.refresher.renewable(head.snapshotPayload, root: root)
            var found = CollectionExpiries.of(root) + (try await self.targets(of: head))
            if snapshot == nil, let payload = head.snapshotPayload {
                found.append((kind: .snapshot, role: .snapshot, at: payload.expires.seconds))
            }
            let now = self.collections.milliseconds / 1000
            let levels = self.refresher.metadata.levels
            try await self.store.adopt(
                gun,
                at: pointer,
                time: self.refresher.metadata.schedule.time(
                    of: gun,
                    timestamp: head.timestampPayload.expires,
                    snapshot: snapshot
                ),
                expiries: found.map {
                    RecordedExpiry(
                        kind: $0.kind,
                        role: $0.role,
                        expiresAt: $0.at,
                        warnAt: levels.warning(ofFound: $0.at, now: now)
                    )
                }
            )
        } catch let error as TUFError {
            // Renewal has its own way with what it cannot read.
            let now = RenewalTime(renewAt: 0, expiresAt: nil)
            try await self.store.adopt(gun, at: pointer, time: now, expiries: [])
            throw error
        }
    }

    private func root(of head: CollectionHead) async throws -> Root? {
        var file: StoredFile?
        if let hash = head.sha256(of: .root) { file = try await self.store.file(.root, .sha256(hash), of: head.gun) }
        if file == nil { file = try await self.store.file(.root, .current, of: head.gun) }
        guard let file else { return nil }
        let stored = try UnverifiedMetadata(file.bytes, format: .notary)
        return try RootTrust(gun: head.gun.text).verifyStored(stored).payload
    }

    private func claimKeys(of root: Root, for gun: GUN) async throws {
        for role in [RoleName.timestamp, .snapshot] {
            for key in try root.keys(of: role).keys where try await self.store.owner(of: key.id) == nil {
                if try await self.keys.holds(key.id) { try await self.store.claim(key.id, for: gun) }
            }
        }
    }

    /// Targets and all that they delegate to, as far as it is there. It was checked when it was published, and here it only tells
    /// whom to warn, so signatures are not checked again.
    private func targets(of head: CollectionHead) async throws -> [(kind: ExpiryKind, role: RoleName, at: Int64)] {
        var found: [(kind: ExpiryKind, role: RoleName, at: Int64)] = []
        var waiting: [RoleName] = [.targets]
        var seen: Set<RoleName> = []
        while let role = waiting.popLast(), seen.count < Self.roleLimit {
            guard seen.insert(role).inserted, let hash = head.sha256(of: role),
                let file = try await self.store.file(role, .sha256(hash), of: head.gun),
                let signed = try? JSONParser.parse(file.content.readableBytesView)["signed"],
                let targets = try? Targets(signed, format: .notary)
            else { continue }
            found.append(CollectionExpiries.of(role, targets))
            waiting += targets.delegations.roles.map(\.name).filter { $0.notaryParent == role }
        }
        return found
    }
}
