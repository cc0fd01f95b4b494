// SPDX-License-Identifier: Apache-2.0

package import AsyncHTTPClient
package import NIOCore
import NIOHTTP1

/// What a body does that nobody vouches for. Each client turns it into an error of its own.
package enum BodyRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// There is more of it than this many bytes.
    case tooLarge(limit: Int64)
    /// So many bytes came in so many seconds, fewer than the floor.
    case tooSlow(bytes: Int64, seconds: Int, floor: Int64)

    /// What was found and what was expected.
    package var description: String {
        switch self {
        case .tooLarge(let limit): "sends more than the \(limit) bytes that may come"
        case .tooSlow(let bytes, let seconds, let floor):
            "is too slow: \(bytes) bytes in \(seconds) s, at least \(floor) bytes/s are expected"
        }
    }
}

/// Reads a body that nobody vouches for: never more bytes than allowed, never more slowly than the floor.
package struct BoundedBody: Sendable {
    private let limits: TransferLimits
    private let uptime: @Sendable () -> NIODeadline

    /// - Parameters:
    ///   - limits: how slowly it may come, and for how long.
    ///   - uptime: the time that slow bodies are measured with.
    package init(limits: TransferLimits, uptime: @escaping @Sendable () -> NIODeadline) {
        self.limits = limits
        self.uptime = uptime
    }

    /// The whole body.
    /// - Throws: ``BodyRefusal`` as soon as it is clear that there is more than the limit, or that it comes too slowly.
    package func read(_ response: HTTPClientResponse, limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        try await self.stream(response, limit: Int64(limit)) { bytes += $0.readableBytesView }
        return bytes
    }

    /// Hands out the body piece by piece.
    /// - Throws: ``BodyRefusal``, and what the sink throws.
    package func stream(
        _ response: HTTPClientResponse,
        limit: Int64,
        _ sink: (ByteBuffer) async throws -> Void
    ) async throws {
        if let length = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }), length > limit {
            throw BodyRefusal.tooLarge(limit: limit)
        }
        var count: Int64 = 0
        let start = self.uptime()
        for try await buffer in response.body {
            guard Int64(buffer.readableBytes) <= limit - count else { throw BodyRefusal.tooLarge(limit: limit) }
            count += Int64(buffer.readableBytes)
            try await sink(buffer)
            try self.requirePace(count, since: start)
        }
    }

    /// The beginning of a body; the rest is left unread.
    /// - Throws: ``BodyRefusal`` when it comes too slowly.
    package func readBeginning(_ response: HTTPClientResponse, limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        let start = self.uptime()
        for try await buffer in response.body {
            bytes += buffer.readableBytesView.prefix(limit - bytes.count)
            guard bytes.count < limit else { break }
            try self.requirePace(Int64(bytes.count), since: start)
        }
        return bytes
    }

    private func requirePace(_ count: Int64, since start: NIODeadline) throws {
        let elapsed = self.uptime() - start
        guard elapsed > self.limits.grace else { return }
        let seconds = Double(elapsed.nanoseconds) / 1e9
        guard Double(count) >= seconds * Double(self.limits.bytesPerSecond) else {
            throw BodyRefusal.tooSlow(bytes: count, seconds: Int(seconds), floor: self.limits.bytesPerSecond)
        }
    }
}
