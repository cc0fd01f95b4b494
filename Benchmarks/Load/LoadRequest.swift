// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// One request of a conversation.
struct LoadRequest: Sendable {
    var method: HTTPMethod
    var path: String
    var headers: HTTPHeaders = [:]
    var body = ByteBuffer()
    /// What the server must answer; anything else ends the run.
    var expectedStatus: UInt = 200
    /// The clock of an operation starts with this request.
    var beginsOperation = true
    /// The clock of an operation ends with the reply to this request.
    var endsOperation = true
}

/// What the server answered.
struct LoadReply: Sendable {
    let status: UInt
    let headers: HTTPHeaders
    let body: ByteBuffer
}

/// What one connection has to say: each request may depend on the reply before it.
protocol Conversation: Sendable {
    /// - Parameter reply: the reply to the request before; nil at the start.
    /// - Returns: nil when all has been said.
    mutating func next(after reply: LoadReply?) throws -> LoadRequest?
}

/// The run is not worth its figures: the server did not do what it was asked for.
struct LoadError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
