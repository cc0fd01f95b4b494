// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// What comes in and is not a request.
extension HTTPConnection {
    func inputIsMalformed(_ error: HTTPParserError) {
        // The parser says this of a connection that ends in mid-request: `channelInactive` follows.
        guard error != .invalidEOFState, !self.inputIsBroken else { return }
        self.inputIsBroken = true
        switch self.phase {
        case .idle where self.pipelined.isEmpty:
            self.refuse(error == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest)
        case .responding where !self.requestEnded && self.pipelined.isEmpty:
            self.body?.fail(HTTPRequestBodyError(.malformed))
        case .draining, .lingering:
            self.abort()
        case .idle, .responding, .closed:
            break
        }
    }

    /// Answers what is not a request, and closes.
    func refuse(_ status: HTTPResponseStatus) {
        self.sequence &+= 1
        let id = HTTPRequestID(
            instance: self.configuration.instance,
            connection: self.number,
            sequence: self.sequence
        )
        let head = HTTPRequestHead(version: .http1_1, method: .RAW(value: "-"), uri: "-")
        self.exchange = HTTPExchange(head: head, id: id)
        self.inputIsBroken = true
        self.requestEnded = false
        self.enter(.responding)
        self.reply(.plainText(status, closesConnection: true))
    }

    /// Docker and podman speak plain HTTP to a registry only after its TLS attempt was answered in HTTP.
    func refuseTLS() {
        self.hasSeenBytes = true
        self.refuse(.badRequest)
    }
}
