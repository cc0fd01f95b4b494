// SPDX-License-Identifier: Apache-2.0

package import AsyncHTTPClient
import Foundation

/// The proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in lower case as well, as
/// curl reads them. The HTTP client asks an HTTP proxy for a tunnel (`CONNECT`) whatever the scheme is.
package struct ProxyEnvironment: Sendable {
    private let environment: [String: String]

    /// Takes an environment.
    package init(_ environment: [String: String]) {
        self.environment = environment
    }

    /// The proxy for a URL; nil when there is none, or it is not for this host.
    package func proxy(for url: HTTPURL) -> HTTPClient.Configuration.Proxy? {
        // In upper case only for https: a CGI program has HTTP_PROXY from the header `Proxy` of whoever asks it.
        let names =
            url.origin.scheme == .https
            ? ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] : ["http_proxy", "all_proxy", "ALL_PROXY"]
        guard !self.isExempt(url.origin), let value = names.lazy.compactMap({ self.value($0) }).first else {
            return nil
        }
        return Self.parse(value)
    }

    private func value(_ name: String) -> String? {
        self.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    private func isExempt(_ origin: HTTPURL.Origin) -> Bool {
        let host = origin.host
        return (self.value("no_proxy") ?? self.value("NO_PROXY") ?? "").split(separator: ",").contains { entry in
            var name = entry.filter { $0 != " " }.lowercased()[...]
            if name == "*" { return true }
            if name == origin.authority { return true }
            if let range = AddressRange(name) { return range.contains(host) }
            if name.hasPrefix("*.") { name = name.dropFirst(2) } else if name.hasPrefix(".") { name = name.dropFirst() }
            return !name.isEmpty && (host == name || host.hasSuffix("." + name))
        }
    }

    /// `http://user:password@host:port/`, of which only the host must be there.
    private static func parse(_ text: String) -> HTTPClient.Configuration.Proxy? {
        var rest = text[...]
        var scheme = "http"
        if let end = rest.range(of: "://") {
            scheme = rest[..<end.lowerBound].lowercased()
            rest = rest[end.upperBound...]
        }
        rest = rest.prefix { $0 != "/" }
        var authorization: HTTPClient.Authorization?
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map {
                String($0).removingPercentEncoding ?? String($0)
            }
            authorization = .basic(username: parts[0], password: parts.count > 1 ? parts[1] : "")
            rest = rest[rest.index(after: at)...]
        }
        guard let origin = HTTPURL.Origin(scheme: .http, authority: rest) else { return nil }
        let port = origin.authority.split(separator: ":").last.flatMap { Int($0) }
        switch scheme {
        case "http":
            return .server(host: origin.host, port: port ?? 80, authorization: authorization)
        case "socks5", "socks5h": return .socksServer(host: origin.host, port: port ?? 1080)
        default: return nil
        }
    }
}
