// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OCI

/// Which request may write to which upload: a state machine without effects.
///
/// A request leases the upload. It is `receiving` while it waits for its client, and `writing` while bytes go to the
/// store. A lease whose client has sent nothing for a while can be taken over: the client may have come back over a new
/// connection before the end of the old one was noticed. The request that lost its lease finds out at its next write.
struct UploadSessions: Sendable {
    /// A lease on an upload, good until it ends or is taken over.
    struct Lease: Sendable, Hashable {
        let key: UploadKey
        fileprivate let number: UInt64
    }

    /// How far an upload has been hashed: spares reading it again at the end.
    struct Checkpoint: Sendable {
        let offset: Int64
        let hasher: Digest.Hasher
    }

    enum Acquisition: Sendable {
        case granted(Lease, Checkpoint?)
        /// Another request is writing to the upload.
        case busy
        /// As many uploads as may be are receiving.
        case full
    }

    private enum Phase: Sendable {
        case idle
        case receiving(UInt64, since: Date)
        case writing(UInt64)
    }

    private struct Session: Sendable {
        var phase: Phase
        var checkpoint: Checkpoint?
        /// For the eviction of the oldest.
        var touched: UInt64
    }

    private var sessions: [UploadKey: Session] = [:]
    /// How many requests receive or write.
    private(set) var leases = 0
    private var counter: UInt64 = 0
    private let maximumLeases: Int
    private let maximumIdle: Int
    private let stallTime: TimeInterval

    /// - Parameters:
    ///   - maximumLeases: How many requests may receive at the same time.
    ///   - maximumIdle: How many checkpoints are kept of uploads to which nobody writes.
    ///   - stallTime: After how many seconds without bytes a lease can be taken over.
    init(maximumLeases: Int, maximumIdle: Int, stallTime: TimeInterval) {
        self.maximumLeases = maximumLeases
        self.maximumIdle = maximumIdle
        self.stallTime = stallTime
    }

    /// Leases an upload, whether it exists or not.
    mutating func acquire(_ key: UploadKey, at now: Date) -> Acquisition {
        let session = self.sessions[key]
        switch session?.phase {
        case .writing:
            return .busy
        case .receiving(_, let since):
            guard now.timeIntervalSince(since) >= self.stallTime else { return .busy }
        case .idle, nil:
            guard self.leases < self.maximumLeases else { return .full }
            self.leases += 1
        }
        let number = self.nextNumber()
        let checkpoint = session?.checkpoint
        self.sessions[key] = Session(phase: .receiving(number, since: now), checkpoint: nil, touched: number)
        return .granted(Lease(key: key, number: number), checkpoint)
    }

    /// Begins a write. False when the lease was taken over or the upload cancelled: nothing may be written then.
    mutating func beginWriting(_ lease: Lease) -> Bool {
        guard case .receiving(lease.number, _) = self.sessions[lease.key]?.phase else { return false }
        self.sessions[lease.key]?.phase = .writing(lease.number)
        return true
    }

    /// Ends a write that ``beginWriting(_:)`` began.
    mutating func endWriting(_ lease: Lease, at now: Date) {
        guard case .writing(lease.number) = self.sessions[lease.key]?.phase else { return }
        self.sessions[lease.key]?.phase = .receiving(lease.number, since: now)
    }

    /// Ends a lease and keeps the checkpoint for the next request; does nothing for a lease that was taken over.
    mutating func release(_ lease: Lease, checkpoint: Checkpoint?) {
        switch self.sessions[lease.key]?.phase {
        case .receiving(lease.number, _), .writing(lease.number): break
        default: return
        }
        self.leases -= 1
        if let checkpoint {
            self.keep(checkpoint, for: lease.key)
        } else {
            self.sessions[lease.key] = nil
        }
    }

    /// Keeps a checkpoint for an upload to which nobody writes: the hash that its first request shall use.
    mutating func prepare(_ key: UploadKey, checkpoint: Checkpoint) {
        guard self.sessions[key] == nil else { return }
        self.keep(checkpoint, for: key)
    }

    /// Takes an upload from whoever receives into it, to remove it. False while bytes are being written.
    mutating func cancel(_ key: UploadKey) -> Bool {
        switch self.sessions[key]?.phase {
        case .writing: return false
        case .receiving: self.leases -= 1
        case .idle, nil: break
        }
        self.sessions[key] = nil
        return true
    }

    private mutating func keep(_ checkpoint: Checkpoint, for key: UploadKey) {
        self.sessions[key] = Session(phase: .idle, checkpoint: checkpoint, touched: self.nextNumber())
        guard self.sessions.count - self.leases > self.maximumIdle else { return }
        // Rare and bounded: a quarter goes at once.
        let idle = self.sessions.filter { if case .idle = $0.value.phase { true } else { false } }
        for (key, _) in idle.sorted(by: { $0.value.touched < $1.value.touched }).prefix(self.maximumIdle / 4 + 1) {
            self.sessions[key] = nil
        }
    }

    private mutating func nextNumber() -> UInt64 {
        self.counter &+= 1
        return self.counter
    }
}
