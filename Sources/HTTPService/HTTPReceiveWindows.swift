// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// Shares the memory for bodies that have come and wait to be taken among the requests that receive: the more they are, the
/// less each holds, and the smaller are the pieces in which it is read. So a thousand uploads take little more than ten.
final class HTTPReceiveWindows: Sendable {
    /// With less, the calls to the system would cost more than the bytes.
    private static let least = 32 << 10
    private static let smallestRead = 4 << 10

    /// For all bodies together, in bytes.
    private let memory: Int
    /// For one body at most.
    private let largest: Int
    private let largestRead: Int
    private let bodies = Atomic<Int>(0)

    init(memory: Int, largest: Int, largestRead: Int) {
        self.memory = memory
        self.largest = largest
        self.largestRead = max(Self.smallestRead, largestRead)
    }

    func bodyBegan() { self.bodies.add(1, ordering: .relaxed) }

    func bodyEnded() { self.bodies.subtract(1, ordering: .relaxed) }

    private var share: Int { self.memory / max(1, self.bodies.load(ordering: .relaxed)) }

    /// How many bytes of one body may wait before no more are read.
    var window: Int { min(self.largest, max(Self.least, self.share)) }

    /// How much may be read from one connection at once, a power of two, as memory is taken in those.
    var readSize: Int {
        let half = max(Self.smallestRead, self.share / 2)
        guard half < self.largestRead else { return self.largestRead }
        return 1 << (Int.bitWidth - 1 - half.leadingZeroBitCount)
    }

    /// How often a connection may be read from before others have their turn.
    var readsInTurn: UInt { self.share < self.largest ? 1 : 4 }
}

/// Memory for what is read from a connection: adapts to how much comes, within the connection's share.
struct HTTPReceiveAllocator: RecvByteBufferAllocator {
    private let windows: HTTPReceiveWindows
    private var adaptive: AdaptiveRecvByteBufferAllocator

    init(windows: HTTPReceiveWindows, maximum: Int) {
        self.windows = windows
        self.adaptive = AdaptiveRecvByteBufferAllocator(minimum: 1_024, initial: 4_096, maximum: max(4_096, maximum))
    }

    private var size: Int { min(self.adaptive.nextBufferSize() ?? .max, self.windows.readSize) }

    func nextBufferSize() -> Int? { self.size }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: self.size) }

    mutating func record(actualReadBytes: Int) -> Bool { self.adaptive.record(actualReadBytes: actualReadBytes) }
}
