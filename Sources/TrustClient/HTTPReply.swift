// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TUF

/// A reply, read as far as it may be.
struct HTTPReply: Sendable {
    /// How much of an error reply is read.
    static let errorLimit = 64 << 10

    let status: Int
    let body: [UInt8]
    let challenges: [String]
}

/// Reads a body that nobody vouches for: never more bytes than allowed, never more slowly than the floor.
struct BodyReader: Sendable {
    let limits: NotaryServer.Limits
    let uptime: @Sendable () -> NIODeadline

    /// The whole body.
    /// - Throws: ``TrustClientError`` with code `rollback` (refusal `tooLarge`) as soon as it is clear that there is more than the
    ///   limit; `unreachable` when it comes too slowly.
    func read(_ response: HTTPClientResponse, limit: Int) async throws -> [UInt8] {
        if let length = response.headers.first(name: "Content-Length").flatMap({ Int($0) }), length > limit {
            throw self.tooLarge(limit)
        }
        var bytes: [UInt8] = []
        let start = self.uptime()
        for try await buffer in response.body {
            guard bytes.count + buffer.readableBytes <= limit else { throw self.tooLarge(limit) }
            bytes += buffer.readableBytesView
            try self.requirePace(bytes.count, since: start)
        }
        return bytes
    }

    /// The beginning of a body; the rest is left unread.
    func readBeginning(_ response: HTTPClientResponse, limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        let start = self.uptime()
        for try await buffer in response.body {
            bytes += buffer.readableBytesView.prefix(limit - bytes.count)
            guard bytes.count < limit else { break }
            try self.requirePace(bytes.count, since: start)
        }
        return bytes
    }

    private func requirePace(_ count: Int, since start: NIODeadline) throws {
        let elapsed = self.uptime() - start
        guard elapsed > self.limits.grace else { return }
        let seconds = Double(elapsed.nanoseconds) / 1e9
        guard Double(count) >= seconds * Double(self.limits.bytesPerSecond) else {
            throw TrustClientError(
                .unreachable,
                "the trust server is too slow: \(count) bytes in \(Int(seconds)) s, at least "
                    + "\(self.limits.bytesPerSecond) bytes/s are expected"
            )
        }
    }

    private func tooLarge(_ limit: Int) -> TrustClientError {
        TrustClientError(TUFError(.tooLarge, "the trust server sends more than the \(limit) bytes that may come"))
    }
}
