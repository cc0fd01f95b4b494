// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Times and rates beyond which a server counts as unreachable.
package struct TransferLimits: Sendable, Hashable {
    /// To connect, TLS included.
    package var connect: TimeAmount
    /// To answer with a head.
    package var response: TimeAmount
    /// Between two pieces of a body.
    package var idle: TimeAmount
    /// How long a body may come more slowly than the floor, which is what a server that feeds a byte at a time does.
    package var grace: TimeAmount
    /// The slowest average of a body, in bytes a second.
    package var bytesPerSecond: Int64

    /// Makes limits; the defaults suit a slow line.
    package init(
        connect: TimeAmount = .seconds(10),
        response: TimeAmount = .seconds(60),
        idle: TimeAmount = .seconds(30),
        grace: TimeAmount = .seconds(20),
        bytesPerSecond: Int64 = 1024
    ) {
        self.connect = connect
        self.response = response
        self.idle = idle
        self.grace = grace
        self.bytesPerSecond = bytesPerSecond
    }
}
