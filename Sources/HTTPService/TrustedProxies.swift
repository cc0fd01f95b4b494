// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
package struct TrustedProxies: Sendable {
    private let networks: [IPNetwork]

    package init(_ networks: [IPNetwork] = []) {
        self.networks = networks
    }

    /// The peer, or the last address before those of trusted proxies. Nil for a peer without an address.
    func client(of request: HTTPRequest) -> IPAddress? {
        guard let peer = request.remoteAddress.flatMap({ IPAddress($0) }) else { return nil }
        guard self.contains(peer) else { return peer }
        var client = peer
        let forwarded = request.headers["X-Forwarded-For"].flatMap { $0.split(separator: ",") }
        for text in forwarded.reversed() {
            // What stands before something that is no address was written by nobody who is trusted.
            guard let address = IPAddress(text) else { break }
            client = address
            guard self.contains(address) else { break }
        }
        return client
    }

    /// Whether the client speaks TLS: to this process, or to a trusted proxy, which says so in `X-Forwarded-Proto`.
    package func isSecure(_ request: HTTPRequest) -> Bool {
        if request.isSecure { return true }
        guard let peer = request.remoteAddress.flatMap({ IPAddress($0) }), self.contains(peer) else { return false }
        // The last one is what the peer itself has written.
        let protocols = request.headers["X-Forwarded-Proto"].flatMap { $0.split(separator: ",") }
        return protocols.last.map { $0.filter { $0 != " " }.lowercased() } == "https"
    }

    /// Whom limits count a request for, as text: an address of version 4, of version 6 the /64 network, which is one customer's.
    package func clientText(of request: HTTPRequest) -> String {
        self.client(of: request)?.client.description ?? "local"
    }

    private func contains(_ address: IPAddress) -> Bool {
        self.networks.contains { $0.contains(address) }
    }
}
