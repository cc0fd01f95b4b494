// SPDX-License-Identifier: Apache-2.0

import PercentEncoding

/// An absolute HTTP URL, split where it matters for who may see credentials.
package struct HTTPURL: Sendable, Hashable, CustomStringConvertible {
    package enum Scheme: String, Sendable {
        case http
        case https

        fileprivate var defaultPort: String { self == .http ? ":80" : ":443" }
    }

    /// Scheme and authority: credentials for one origin never go to another.
    package struct Origin: Sendable, Hashable {
        package var scheme: Scheme
        /// Host and port, in lower case, without the scheme's default port.
        package let authority: String

        /// - Returns: nil for what is no host with or without a port.
        package init?(scheme: Scheme, authority: some StringProtocol) {
            let authority = authority.lowercased()
            let isAllowed = authority.utf8.allSatisfy { byte in
                (48...58).contains(byte) || (97...122).contains(byte) || [45, 46, 91, 93, 95].contains(byte)
            }
            guard isAllowed, !authority.isEmpty, !authority.hasPrefix(":") else { return nil }
            self.scheme = scheme
            self.authority =
                authority.hasSuffix(scheme.defaultPort)
                ? String(authority.dropLast(scheme.defaultPort.utf8.count)) : authority
        }

        /// The host without its port and brackets.
        package var host: String {
            if self.authority.hasPrefix("[") {
                return String(self.authority.dropFirst().prefix { $0 != "]" })
            }
            return String(self.authority.prefix { $0 != ":" })
        }

        /// True for `localhost` and the addresses of the loopback interface, and for nothing that only looks so.
        package var isLoopback: Bool {
            let host = self.host
            if host == "localhost" || host == "::1" { return true }
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            let isAddress =
                parts.count == 4
                && parts.allSatisfy { part in
                    (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (48...57).contains($0) }
                        && UInt8(part) != nil
                }
            return isAddress && parts.first == "127"
        }
    }

    package var origin: Origin
    /// Path and query, beginning with `/`.
    package var target: String

    /// - Parameters:
    ///   - origin: where it is.
    ///   - target: path and query, beginning with `/`.
    package init(_ origin: Origin, _ target: String) {
        self.origin = origin
        self.target = target
    }

    /// Parses an absolute `http` or `https` URL without user information.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 8192, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        let lower = text.prefix(8).lowercased()
        let scheme: Scheme
        if lower.hasPrefix("https://") {
            scheme = .https
        } else if lower.hasPrefix("http://") {
            scheme = .http
        } else {
            return nil
        }
        let rest = text.dropFirst(scheme.rawValue.count + 3)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        guard let origin = Origin(scheme: scheme, authority: rest[..<end]) else { return nil }
        let target = rest[end...].prefix { $0 != "#" }
        self.init(origin, target.hasPrefix("/") ? String(target) : "/" + target)
    }

    /// The same with another query parameter; the value is percent-encoded.
    package func adding(_ name: String, _ value: String) -> HTTPURL {
        HTTPURL(
            self.origin,
            self.target + (self.target.contains("?") ? "&" : "?") + name + "=" + PercentCoding.encode(value)
        )
    }

    /// The URL.
    package var description: String { self.root + self.target }

    /// Scheme and authority.
    package var root: String { "\(self.origin.scheme.rawValue)://\(self.origin.authority)" }
}
