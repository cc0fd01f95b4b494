// SPDX-License-Identifier: Apache-2.0

import Crypto
import NotaryAPI
import TUF

/// When what the server signs is to be signed again.
///
/// A collection has its own margin, up to half as long again as the one configured, which its name decides: of a million
/// timestamps signed in one hour, each has its own hour to be renewed in.
struct RenewalSchedule: Sendable {
    /// How long before its expiry something is signed again, in seconds.
    struct Margins: Sendable, Hashable {
        let timestamp: Int64
        let snapshot: Int64
    }

    let configuration: TrustServerConfiguration

    func margins(of gun: GUN) -> Margins {
        let fraction = Self.fraction(of: gun)
        return Margins(
            timestamp: Self.margin(
                self.configuration.timestampMargin,
                of: self.configuration.timestampLifetime,
                fraction
            ),
            snapshot: Self.margin(self.configuration.snapshotMargin, of: self.configuration.snapshotLifetime, fraction)
        )
    }

    /// What is left when the last collections of their time are renewed, in seconds: those with less are late.
    var leastMargin: Int64 {
        Self.margin(self.configuration.timestampMargin, of: self.configuration.timestampLifetime, 0)
    }

    /// - Parameter snapshot: its expiry, if the server can sign the next one.
    func time(of gun: GUN, timestamp: Expiry, snapshot: Expiry?) -> RenewalTime {
        let margins = self.margins(of: gun)
        let timestampAt = timestamp.seconds - margins.timestamp
        guard let snapshot else { return RenewalTime(renewAt: timestampAt, expiresAt: timestamp.seconds) }
        return RenewalTime(
            renewAt: min(timestampAt, snapshot.seconds - margins.snapshot),
            expiresAt: min(timestamp.seconds, snapshot.seconds)
        )
    }

    /// Never so long that what was just signed would be due again.
    private static func margin(_ configured: Int64, of lifetime: Int64, _ fraction: Double) -> Int64 {
        let lifetime = max(0, lifetime)
        let margin = max(0, min(configured, lifetime / 2))
        let spread = min(margin / 2, (lifetime - margin) / 2)
        return margin + Int64(Double(spread) * fraction)
    }

    /// From 0 to less than 1: always the same for one collection, and evenly spread over all.
    static func fraction(of gun: GUN) -> Double {
        let digest = SHA256.hash(data: Array("renewal of \(gun.text)".utf8))
        let number = digest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return Double(number) / 4_294_967_296
    }
}
