// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
package import HTTPAccess
import NIOCore

/// Where a repository is on the web, and how to reach it.
public struct RepositoryServer: Sendable {
    /// When to give up.
    public struct Limits: Sendable, Hashable {
        /// The time to connect, TLS included: 10 seconds.
        public var connect: Duration = .seconds(10)
        /// The time from a request to the head of its answer: 60 seconds.
        public var response: Duration = .seconds(60)
        /// The time between two pieces of a body: 30 seconds.
        public var idle: Duration = .seconds(30)
        /// The slowest average of a body, in bytes a second: 1024.
        public var bytesPerSecond: Int64 = 1024
        /// How long a body may come more slowly than that, which is what a server that feeds a byte at a time does: 20 seconds.
        public var grace: Duration = .seconds(20)
        /// How often a request is made that breaks off before it has brought anything new: 4. The pauses in between are a
        /// quarter of a second, then four times as long each time.
        public var attempts = 4

        /// Makes limits that suit a slow line.
        public init() {}
    }

    /// Which proxy is asked.
    public enum Proxy: Sendable, Hashable {
        /// None.
        case none
        /// The one that the process's environment names: `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`, in upper case as
        /// well, but for `HTTP_PROXY`, as curl reads them.
        case environment
        /// The one that these variables name.
        case variables([String: String])
        /// The one at a URL: `http://user:password@host:port` or `socks5://host:port`.
        case url(String)

        /// - Throws: ``UpdaterError`` with code `invalid`.
        func proxy(for url: HTTPURL) throws -> HTTPClient.Configuration.Proxy? {
            switch self {
            case .none: return nil
            case .environment: return ProxyEnvironment(ProcessInfo.processInfo.environment).proxy(for: url)
            case .variables(let variables): return ProxyEnvironment(variables).proxy(for: url)
            case .url(let text):
                guard let proxy = ProxyEnvironment(["all_proxy": text]).proxy(for: url) else {
                    throw UpdaterError(.invalid, "the proxy must be at an http or socks5 URL with a host")
                }
                return proxy
            }
        }
    }

    /// The URL that the names of metadata files are put after, without a slash at its end.
    package let metadataURL: HTTPURL
    /// The URL that the paths of targets are put after, without a slash at its end.
    package let targetsURL: HTTPURL
    /// PEM certificates, one or more in each, of authorities that are trusted besides the system's.
    public var authorities: [[UInt8]] = []
    /// When to give up.
    public var limits = Limits()
    /// Which proxy is asked.
    public var proxy = Proxy.environment
    /// What the client calls itself.
    public var userAgent = "hallmark"

    /// Says where a repository is.
    /// - Parameters:
    ///   - metadata: the `http` or `https` URL that the names of metadata files are put after. It is used as it stands, with
    ///     whatever percent-encoding it has.
    ///   - targets: that of the targets; `targets` beside or below the metadata's is usual.
    /// - Throws: ``UpdaterError`` with code `invalid` for a URL that is none, or has a query or user information.
    public init(metadata: String, targets: String) throws {
        self.metadataURL = try Self.base(metadata)
        self.targetsURL = try Self.base(targets)
    }

    private static func base(_ text: String) throws -> HTTPURL {
        guard var url = HTTPURL(text), !url.target.contains("?") else {
            throw UpdaterError(
                .invalid,
                "a repository must be at an http or https URL without a query, not \(text.printable())"
            )
        }
        while url.target.hasSuffix("/") { url.target.removeLast() }
        return url
    }
}

extension TransferLimits {
    /// The same, in the event loops' unit of time.
    init(_ limits: RepositoryServer.Limits) {
        self.init(
            connect: TimeAmount(limits.connect),
            response: TimeAmount(limits.response),
            idle: TimeAmount(limits.idle),
            grace: TimeAmount(limits.grace),
            bytesPerSecond: limits.bytesPerSecond
        )
    }
}
