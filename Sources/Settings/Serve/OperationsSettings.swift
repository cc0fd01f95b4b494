// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What operators see of a process, and what its clients may do.
package enum OperationsSettings: SettingGroup {
    package static let title = "Operations and limits"
    package static let settings = [
        Self.address.declaration, Self.expiryWarnings.declaration, Self.renewalRate.declaration,
        Self.readRate.declaration, Self.writeRate.declaration, Self.uploads.declaration,
        Self.trustedProxies.declaration,
    ]

    package static let address = Setting(
        "operations.address",
        .address,
        otherwise: "nowhere",
        help: "Where /metrics and /health of this process are, in plain HTTP: for loopback or a private network."
    )

    package static let expiryWarnings = Setting(
        "operations.expiry-warnings",
        .list(of: .number(1...3650, of: "days")),
        default: [90, 30, 7, 1],
        option: "expiry-warning",
        help: "How many days before publishers' metadata and root certificates expire the log warns; may be repeated."
    )

    package static let renewalRate = Setting(
        "operations.renewal-rate",
        .number(1...100_000),
        default: 100,
        option: "renewal-rate",
        help: "The most collections whose timestamps this process renews in a second."
    )

    package static let readRate = Setting(
        "limits.reads",
        .rate,
        otherwise: "no limit",
        option: "limit-reads",
        help: "The most requests of one client that read, a second, and how many at once: 50 or 50/500."
    )

    package static let writeRate = Setting(
        "limits.writes",
        .rate,
        otherwise: "no limit",
        option: "limit-writes",
        help: "The most requests of one client that write, a second, and how many at once: 5 or 5/100."
    )

    package static let uploads = Setting(
        "limits.uploads",
        .number(1...100_000),
        otherwise: "no limit",
        option: "limit-uploads",
        help: "The most uploads of one client at once."
    )

    package static let trustedProxies = Setting(
        "limits.trusted-proxies",
        .list(of: .network),
        default: [],
        option: "trusted-proxy",
        help: "A network of proxies whose X-Forwarded-For tells the client, such as 10.0.0.0/8; may be repeated."
    )
}

/// So many a second on average, and so many at once.
package struct RequestRate: Sendable, Hashable {
    package let perSecond: Int
    /// Nil: ten seconds' worth.
    package let burst: Int?

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0) }
        guard (1...2).contains(parts.count), numbers.count == parts.count,
            numbers.allSatisfy({ (1...1_000_000).contains($0) })
        else { return nil }
        self.perSecond = numbers[0]
        self.burst = numbers.count == 2 ? numbers[1] : nil
    }

    var text: String { self.burst.map { "\(self.perSecond)/\($0)" } ?? "\(self.perSecond)" }
}

extension SettingType where Value == RequestRate {
    static var rate: Self {
        .word(
            "rate",
            expected: "a number a second from 1 to 1000000, such as 50, with as many at once as 50/500 says",
            placeholder: "rate",
            text: \.text,
            parse: { RequestRate($0) }
        )
    }
}

extension SettingType where Value == String {
    /// An IP address or a network.
    static var network: Self {
        .word(
            "network",
            expected: "an IP address or a network, such as 10.0.0.0/8 or fd00::/8",
            placeholder: "network",
            text: { $0 },
            parse: { word in
                let parts = word.split(separator: "/", omittingEmptySubsequences: false)
                guard let address = parts.first, (1...2).contains(parts.count) else { return nil }
                var bytes = in6_addr()
                let isVersion6 = inet_pton(AF_INET6, String(address), &bytes) == 1
                guard isVersion6 || inet_pton(AF_INET, String(address), &bytes) == 1 else { return nil }
                guard parts.count == 2 else { return word }
                let length = Int(parts[1]) ?? -1
                return (0...(isVersion6 ? 128 : 32)).contains(length) ? word : nil
            }
        )
    }
}
