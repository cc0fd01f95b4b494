// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOHTTP1
import OCI
import Synchronization

/// Ready replies of hot reads, by the path of the request.
///
/// Why it never serves what is no longer true: each repository belongs to one of a fixed number of groups, each with a
/// generation. A reply is stored with the generation that its group had *before* the database was read, and is served
/// only while that is still the generation. Whoever changes a repository commits, then calls ``invalidate(_:)``, then
/// answers: so a change that was acknowledged is seen by every later request. What another process changes beside this one
/// counts by ``ForeignChanges``; several instances, which have no such file in common, need a limit of 0, which turns the
/// cache off.
///
/// Why it never hides that something is in use: an entry knows when the database was last told that clients hear of it, and is
/// not used when that was too long ago; whoever reads the database then tells it.
///
/// Bounded by two halves: when the young half is full it becomes the old one, and the old one is dropped. What is asked
/// for again moves to the young half.
final class ResponseCache: Sendable {
    /// What is kept of a reply.
    enum Content: Sendable {
        /// A whole reply to GET and HEAD.
        case manifest(HTTPResponse)
        /// A blob is there.
        case blob(Digest, StoredBlob)
    }

    /// Something read, and what must still be so for it to count.
    struct Entry: Sendable {
        let content: Content
        /// For conditional requests.
        let digest: Digest
        /// Whose it is: what a client may read is decided by it.
        let repository: RepositoryName
        /// As in the database.
        let seenAt: Int64
        fileprivate let generation: Generation
        fileprivate let cost: Int

        /// What metrics call a read of it.
        func operation(_ method: HTTPMethod) -> String {
            switch self.content {
            case .manifest: method == .HEAD ? "head_manifest" : "get_manifest"
            case .blob: "head_blob"
            }
        }
    }

    /// The state of a repository's group before a read.
    struct Generation: Sendable {
        fileprivate let repository: RepositoryName
        fileprivate let group: Int
        fileprivate let number: UInt64
        /// Of what other processes change; nil while one does.
        fileprivate let foreign: UInt64?
    }

    private struct State {
        var generations: [UInt64]
        var young: [String: Entry] = [:]
        var old: [String: Entry] = [:]
        var youngCost = 0
    }

    private static let groups = 1024
    /// What an entry takes besides its body, in bytes; roughly.
    private static let overhead = 1024

    private let limit: Int
    private let foreign: ForeignChanges?
    private let state: Mutex<State>

    /// - Parameters:
    ///   - limit: How many bytes the cache may take; 0 for no cache.
    ///   - foreign: Tells when another process changes the same database; nil when none does.
    init(limit: Int, foreign: ForeignChanges?) {
        self.limit = limit
        self.foreign = foreign
        self.state = Mutex(State(generations: Array(repeating: 0, count: Self.groups)))
    }

    /// What is known about a path.
    /// - Parameter time: What the database was not told of since then, in Unix seconds, is not known.
    func entry(_ path: String, seenSince time: Int64) -> Entry? {
        let foreign = self.foreignNumber
        return self.state.withLock { state in
            if let entry = state.young[path] {
                return Self.isCurrent(entry, foreign, time, state) ? entry : nil
            }
            guard let entry = state.old[path], Self.isCurrent(entry, foreign, time, state) else { return nil }
            self.insert(entry, path, &state)
            return entry
        }
    }

    private static func isCurrent(_ entry: Entry, _ foreign: UInt64?, _ time: Int64, _ state: borrowing State) -> Bool {
        let generation = entry.generation
        return state.generations[generation.group] == generation.number && foreign != nil
            && generation.foreign == foreign && entry.seenAt >= time
    }

    /// Nil while another process changes something.
    private var foreignNumber: UInt64? {
        guard let foreign else { return 0 }
        return foreign.settledNumber
    }

    /// To be asked for before the database is read.
    func generation(of repository: RepositoryName) -> Generation {
        let group = Self.group(of: repository)
        return Generation(
            repository: repository,
            group: group,
            number: self.state.withLock { $0.generations[group] },
            foreign: self.foreignNumber
        )
    }

    /// Keeps what was read since the generation was asked for.
    func insert(
        _ content: Content,
        digest: Digest,
        path: String,
        size: Int,
        seenAt: Int64,
        generation: Generation
    ) {
        let cost = Self.overhead + size
        guard cost <= self.limit / 8, generation.foreign != nil else { return }
        let entry = Entry(
            content: content,
            digest: digest,
            repository: generation.repository,
            seenAt: seenAt,
            generation: generation,
            cost: cost
        )
        self.state.withLock { state in
            guard state.generations[generation.group] == generation.number else { return }
            self.insert(entry, path, &state)
        }
    }

    /// Forgets what is known about a repository: after a change is committed and before it is acknowledged.
    func invalidate(_ repository: RepositoryName) {
        let group = Self.group(of: repository)
        self.state.withLock { $0.generations[group] &+= 1 }
    }

    /// Forgets everything: after a change that concerns many repositories.
    func invalidateAll() {
        self.state.withLock { state in
            for group in state.generations.indices { state.generations[group] &+= 1 }
        }
    }

    private func insert(_ entry: Entry, _ path: String, _ state: inout State) {
        if state.youngCost + entry.cost > self.limit / 2 {
            state.old = state.young
            state.young = [:]
            state.youngCost = 0
        }
        state.youngCost += entry.cost - (state.young.updateValue(entry, forKey: path)?.cost ?? 0)
    }

    private static func group(of repository: RepositoryName) -> Int {
        var hasher = Hasher()
        hasher.combine(repository)
        return Int(UInt(bitPattern: hasher.finalize()) % UInt(Self.groups))
    }
}
