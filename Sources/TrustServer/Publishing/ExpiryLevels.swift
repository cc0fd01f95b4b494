// SPDX-License-Identifier: Apache-2.0

import TUF

/// How long before an expiry to warn: once at each level, and once when it has come.
struct ExpiryLevels: Sendable {
    /// In seconds, the longest first; the last is 0.
    let spans: [Int64]

    /// - Parameter days: in any order.
    init(days: [Int64]) {
        self.spans = Set(days.map { max(0, min($0, 36_500)) * 86400 } + [0]).sorted(by: >)
    }

    /// The first warning of something that was published now. Who gave it a short life knows of it: only levels that are still
    /// to come count.
    func warning(ofNew expiresAt: Int64, now: Int64) -> Int64? {
        self.spans.map { expiresAt - $0 }.first { $0 > now }
    }

    /// The first warning of something that was found: at once where a level has been reached.
    func warning(ofFound expiresAt: Int64, now: Int64) -> Int64 {
        guard let longest = self.spans.first else { return expiresAt }
        return max(now, expiresAt - longest)
    }

    /// The level that an expiry has reached; nil for none.
    func level(of expiresAt: Int64, now: Int64) -> Int64? {
        self.spans.last { expiresAt - $0 <= now }
    }
}
