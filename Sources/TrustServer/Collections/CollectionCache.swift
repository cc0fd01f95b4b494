// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
import Synchronization
import TUF

/// Names one stored file, other than by being current.
struct FileKey: Sendable, Hashable {
    let gun: GUN
    let role: RoleName
    let reference: MetadataReference
}

/// What is in memory of the database.
///
/// Whoever reads the database takes a ticket first and hands it in with what was read: if the collection was changed in
/// between, it is not kept. Whoever changes a collection says so here before anybody is told of the change.
final class CollectionCache: Sendable {
    /// Proof of when a read began.
    struct Ticket: Sendable {
        fileprivate let stripe: Int
        fileprivate let generation: UInt64
    }

    private struct State {
        var heads: RecentValues<GUN, CollectionHead>
        var files: RecentValues<FileKey, ServedFile>
        /// Counts the changes of all collections that share a stripe.
        var generations = [UInt64](repeating: 0, count: 256)
    }

    private let state: Mutex<State>

    init(size: Int) {
        self.state = Mutex(State(heads: RecentValues(limit: size), files: RecentValues(limit: size)))
    }

    func ticket(for gun: GUN) -> Ticket {
        let stripe = Self.stripe(of: gun)
        return self.state.withLock { Ticket(stripe: stripe, generation: $0.generations[stripe]) }
    }

    func head(of gun: GUN) -> CollectionHead? {
        self.state.withLock { $0.heads.value(for: gun) }
    }

    func file(_ key: FileKey) -> ServedFile? {
        self.state.withLock { $0.files.value(for: key) }
    }

    func keep(_ head: CollectionHead, readWith ticket: Ticket) {
        self.state.withLock { state in
            guard state.generations[ticket.stripe] == ticket.generation else { return }
            state.heads.insert(head, for: head.gun, cost: head.cost)
        }
    }

    func keep(_ file: ServedFile, as key: FileKey, readWith ticket: Ticket) {
        self.state.withLock { state in
            guard state.generations[ticket.stripe] == ticket.generation else { return }
            state.files.insert(file, for: key, cost: file.cost)
        }
    }

    /// A collection has gone to a new state. What the files replace is forgotten: hardly anybody asks for it any more, and those
    /// who do find it in the database.
    func advance(to head: CollectionHead, files: [ServedFile]) {
        let stripe = Self.stripe(of: head.gun)
        func key(_ role: RoleName, _ hash: String) -> FileKey {
            FileKey(gun: head.gun, role: role, reference: .sha256(hash))
        }
        self.state.withLock { state in
            let before = state.heads.value(for: head.gun)
            state.generations[stripe] &+= 1
            state.heads.insert(head, for: head.gun, cost: head.cost)
            for file in files {
                let role = file.file.role
                if let replaced = before?.sha256(of: role) { state.files.remove(key(role, replaced)) }
                state.files.insert(file, for: key(role, file.file.sha256), cost: file.cost)
            }
        }
    }

    /// The current state of a collection is no longer known.
    func forgetHead(of gun: GUN) {
        let stripe = Self.stripe(of: gun)
        self.state.withLock { state in
            state.generations[stripe] &+= 1
            state.heads.remove(gun)
        }
    }

    /// A collection is gone, with all its files.
    func forgetAll(of gun: GUN) {
        let stripe = Self.stripe(of: gun)
        self.state.withLock { state in
            state.generations[stripe] &+= 1
            state.heads.remove(gun)
            state.files.removeAll { $0.gun == gun }
        }
    }

    private static func stripe(of gun: GUN) -> Int { Int(truncatingIfNeeded: gun.hashValue & 255) }
}
