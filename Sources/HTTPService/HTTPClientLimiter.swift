// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import Synchronization

/// What one client may do.
package struct HTTPClientLimits: Sendable {
    /// So many requests a second on average, and so many at once.
    package struct Rate: Sendable, Hashable {
        package var perSecond: Double
        package var burst: Double

        /// - Parameters:
        ///   - perSecond: requests a second on average.
        ///   - burst: how many at once; ten seconds' worth when nil.
        package init(perSecond: Double, burst: Double? = nil) {
            self.perSecond = max(0.001, perSecond)
            self.burst = max(1, burst ?? 10 * perSecond)
        }
    }

    /// Requests that change nothing (GET, HEAD, OPTIONS); nil for as many as it likes.
    package var reads: Rate?
    /// All others.
    package var writes: Rate?
    /// The most requests with a body that are answered at once; nil for as many as it likes.
    package var uploads: Int?
    /// Proxies whose word for their clients is taken.
    package var trustedProxies = TrustedProxies()
    /// The most clients that are kept apart. Those not seen for longest are forgotten first.
    package var maximumClients = 100_000

    package init() {}

    /// Whether there is anything to limit.
    package var isEmpty: Bool { self.reads == nil && self.writes == nil && self.uploads == nil }
}

/// A client has had its share.
package struct HTTPClientExcess: Sendable, CustomStringConvertible {
    let limit: HTTPServerMetrics.Refusal
    /// In how many seconds to come again.
    package let retryAfter: Int

    package var description: String {
        switch self.limit {
        case .uploads: "too many uploads of this client at once; try again in \(self.retryAfter) s"
        default: "too many requests of this client; try again in \(self.retryAfter) s"
        }
    }
}

/// Holds each client to its limits: by the address that it connects from, or that a trusted proxy tells; of IPv6 by the /64
/// network, which is one customer's.
package final class HTTPClientLimiter: Sendable {
    /// One of a client's uploads, which ends with this.
    final class Upload: Sendable {
        private let limiter: HTTPClientLimiter
        private let client: IPAddress

        fileprivate init(_ limiter: HTTPClientLimiter, _ client: IPAddress) {
            self.limiter = limiter
            self.client = client
        }

        deinit { self.limiter.uploadEnded(self.client) }
    }

    enum Admission {
        case admitted(Upload?)
        case refused(HTTPClientExcess)
    }

    private struct Bucket {
        var tokens: Double
        var at: Double
    }

    private struct Key: Hashable {
        let client: IPAddress
        let isWrite: Bool
    }

    private struct State {
        /// Who was seen of late; when these are as many as may be, they become the old ones, and the old ones are forgotten.
        var recent: [Key: Bucket] = [:]
        var old: [Key: Bucket] = [:]
        var uploads: [IPAddress: Int] = [:]
    }

    private let limits: HTTPClientLimits
    private let now: @Sendable () -> Double
    private let state = Mutex(State())

    /// - Parameters:
    ///   - limits: what each client may do.
    ///   - now: seconds of a clock that only goes forward.
    package init(
        _ limits: HTTPClientLimits,
        now: @escaping @Sendable () -> Double = { Double(NIODeadline.now().uptimeNanoseconds) / 1e9 }
    ) {
        self.limits = limits
        self.now = now
    }

    /// How many clients are kept apart now.
    var clientCount: Int { self.state.withLock { $0.recent.count + $0.old.count } }

    func admit(_ request: HTTPRequest) -> Admission {
        guard let client = self.limits.trustedProxies.client(of: request)?.client else { return .admitted(nil) }
        let isWrite = ![.GET, .HEAD, .OPTIONS].contains(request.method)
        let now = self.now()
        return self.state.withLock { state in
            let startsUpload = self.limits.uploads != nil && isWrite && request.hasBody
            if startsUpload, let most = self.limits.uploads, state.uploads[client, default: 0] >= max(1, most) {
                return .refused(HTTPClientExcess(limit: .uploads, retryAfter: 1))
            }
            if let rate = isWrite ? self.limits.writes : self.limits.reads {
                let wait = self.take(Key(client: client, isWrite: isWrite), rate, now, &state)
                guard wait <= 0 else {
                    let seconds = Int(min(wait.rounded(.up), 3600))
                    return .refused(HTTPClientExcess(limit: isWrite ? .writes : .reads, retryAfter: max(1, seconds)))
                }
            }
            guard startsUpload else { return .admitted(nil) }
            state.uploads[client, default: 0] += 1
            return .admitted(Upload(self, client))
        }
    }

    /// - Returns: how many seconds are missing; 0 when one was taken.
    private func take(_ key: Key, _ rate: HTTPClientLimits.Rate, _ now: Double, _ state: inout State) -> Double {
        var bucket = state.recent[key] ?? state.old.removeValue(forKey: key) ?? Bucket(tokens: rate.burst, at: now)
        bucket.tokens = min(rate.burst, bucket.tokens + max(0, now - bucket.at) * rate.perSecond)
        bucket.at = now
        let wait = max(0, (1 - bucket.tokens) / rate.perSecond)
        if wait == 0 { bucket.tokens -= 1 }
        state.recent[key] = bucket
        if state.recent.count >= max(1, self.limits.maximumClients / 2) {
            state.old = state.recent
            state.recent = [:]
        }
        return wait
    }

    private func uploadEnded(_ client: IPAddress) {
        self.state.withLock { state in
            let count = state.uploads[client, default: 1] - 1
            state.uploads[client] = count > 0 ? count : nil
        }
    }
}

extension HTTPRequest {
    fileprivate var hasBody: Bool {
        if self.headers.contains(name: "Transfer-Encoding") { return true }
        return self.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0 > 0
    }
}
