// SPDX-License-Identifier: Apache-2.0

/// A reply, read as far as it may be.
struct HTTPReply: Sendable {
    /// How much of an error reply is read.
    static let errorLimit = 64 << 10

    let status: Int
    let body: [UInt8]
    let challenges: [String]
}
