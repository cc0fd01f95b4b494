// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import NIOCore
import NIOHTTP1

/// Who a request comes from, as far as limits are concerned.
struct ClientAddress: Sendable {
    /// Proxies whose word for their clients' addresses is taken, as text.
    let trustedProxies: Set<String>

    /// The address of a request's sender. What lies within one /64 of IPv6 is one network, often one machine, and counts
    /// as one.
    func key(of request: HTTPRequest) -> String {
        guard let peer = request.remoteAddress else { return "unknown" }
        guard let address = peer.ipAddress, self.trustedProxies.contains(address),
            let forwarded = request.headers.last(name: "x-forwarded-for")?.split(separator: ",").last,
            let client = try? SocketAddress(ipAddress: forwarded.filter { $0 != " " }, port: 0)
        else { return Self.network(of: peer) }
        return Self.network(of: client)
    }

    private static func network(of address: SocketAddress) -> String {
        guard case .v6 = address, let text = address.ipAddress else { return address.ipAddress ?? "local" }
        var bytes = [UInt8](repeating: 0, count: 16)
        // A link-local address has its interface behind a percent sign.
        guard inet_pton(AF_INET6, String(text.prefix { $0 != "%" }), &bytes) == 1 else { return text }
        if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10...11].allSatisfy({ $0 == 0xFF }) {
            return bytes.suffix(4).map { "\($0)" }.joined(separator: ".")
        }
        return bytes.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "::/64"
    }
}

extension HTTPHeaders {
    fileprivate func last(name: String) -> String? { self[name].last }
}
