// SPDX-License-Identifier: Apache-2.0

/// `HOST:PORT`, with an IPv6 address in brackets; without a host, all addresses of the machine.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// Empty for all addresses of the machine, of IPv6 too where it has any.
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Nil for what is no such address.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits),
            (0...65535).contains(port)
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard host.contains(":") else { return nil }
        } else if host.contains(where: { $0 == ":" || $0 == "/" || $0 == "[" || $0 == "]" || $0.isWhitespace }) {
            return nil
        }
        self.host = host
        self.port = port
    }

    package var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    /// True when only this machine can connect.
    package var isLoopback: Bool {
        ["localhost", "::1"].contains(self.host)
            || self.host.hasPrefix("127.") && self.host.allSatisfy { $0.isNumber || $0 == "." }
    }

    /// True when it stands for every address of the machine.
    package var isWildcard: Bool { ["", "0.0.0.0", "::"].contains(self.host) }
}
