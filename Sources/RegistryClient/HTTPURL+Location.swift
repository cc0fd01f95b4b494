// SPDX-License-Identifier: Apache-2.0

import HTTPAccess

extension HTTPURL {
    /// The URL a `Location` or `Link` names, seen from this one.
    /// - Parameter keepsTLS: Whether content goes there: it does not leave TLS.
    /// - Throws: ``RegistryError`` with code `invalidResponse`.
    func resolving(_ location: some StringProtocol, keepsTLS: Bool = false) throws -> HTTPURL {
        let next = try self.followed(location)
        guard !keepsTLS || self.origin.scheme != .https || next.origin.scheme == .https else {
            throw RegistryError(
                .invalidResponse,
                "\(self.origin.authority) speaks TLS, but sends content to \(next.origin.authority) without it"
            )
        }
        return next
    }

    private func followed(_ location: some StringProtocol) throws -> HTTPURL {
        if let absolute = HTTPURL(location) { return absolute }
        let path = self.target.prefix { $0 != "?" }
        let text: String
        if location.hasPrefix("//") {
            text = self.origin.scheme.rawValue + ":" + location
        } else if location.hasPrefix("/") {
            text = self.root + location
        } else if location.hasPrefix("?") {
            text = self.root + path + location
        } else {
            let directory = path.lastIndex(of: "/").map { path[...$0] } ?? "/"
            text = self.root + directory + location
        }
        guard !location.isEmpty, !location.prefix(12).contains("://"), let url = HTTPURL(text) else {
            throw RegistryError(
                .invalidResponse,
                "\(self.origin.authority) points to \"\(location.printable())\", which is not an HTTP URL"
            )
        }
        return url
    }
}
