// SPDX-License-Identifier: Apache-2.0

package import AsyncHTTPClient
package import NIOCore
import NIOSSL
import Synchronization

/// The HTTP clients of one user, each made when it is first needed: proxies and authorities differ from one URL to another.
///
/// The system's authorities are hundreds, and to read them takes longer than to ask a server: where authorities are named
/// besides them, a server is first tried with those alone, and with all only when they do not vouch for it.
package final class HTTPClients: Sendable {
    private struct Kind: Hashable {
        let proxy: HTTPClient.Configuration.Proxy?
        let trustsNamedOnly: Bool
    }

    private struct State {
        var clients: [Kind: HTTPClient] = [:]
        /// For whom those that are named do not vouch.
        var needsSystem: Set<HTTPURL.Origin> = []
        var isShutDown = false
    }

    private let configuration: HTTPClient.Configuration
    private let proxies: ProxyEnvironment
    private let state = Mutex(State())

    /// Makes no client yet. ``shutdown()`` must be called at the end.
    /// - Parameters:
    ///   - configuration: what they have in common; the authorities besides the system's are in its TLS configuration.
    ///   - proxies: which proxy is asked for which URL.
    package init(_ configuration: HTTPClient.Configuration, proxies: ProxyEnvironment) {
        self.configuration = configuration
        self.proxies = proxies
    }

    /// Sends one request.
    /// - Parameters:
    ///   - request: what is sent; nothing of its body is read before a server has proved who it is.
    ///   - url: where to, as in the request.
    ///   - deadline: until when the head of the answer must be here.
    /// - Throws: what the HTTP client throws.
    package func execute(
        _ request: HTTPClientRequest,
        to url: HTTPURL,
        deadline: NIODeadline
    ) async throws -> HTTPClientResponse {
        // As docker, notary and skopeo have it: a proxy cannot know what is here.
        let proxy = url.origin.isLoopback ? nil : self.proxies.proxy(for: url)
        if self.namesAuthorities, url.origin.scheme == .https,
            !self.state.withLock({ $0.needsSystem.contains(url.origin) })
        {
            do {
                let client = self.client(Kind(proxy: proxy, trustsNamedOnly: true))
                return try await client.execute(request, deadline: deadline)
            } catch  where ConnectionFailure(error, server: "", certificates: nil).kind == .certificateRefused {
                self.state.withLock { _ = $0.needsSystem.insert(url.origin) }
            }
        }
        return try await self.client(Kind(proxy: proxy, trustsNamedOnly: false)).execute(request, deadline: deadline)
    }

    /// Closes all connections; nothing can be sent afterwards.
    /// - Throws: what the HTTP client throws.
    package func shutdown() async throws {
        let clients = self.state.withLock { state in
            state.isShutDown = true
            defer { state.clients = [:] }
            return Array(state.clients.values)
        }
        for client in clients { try await client.shutdown() }
    }

    private var namesAuthorities: Bool {
        guard let tls = self.configuration.tlsConfiguration else { return false }
        return tls.certificateVerification != .none && !tls.additionalTrustRoots.isEmpty
    }

    private func client(_ kind: Kind) -> HTTPClient {
        self.state.withLock { state in
            if let client = state.clients[kind] { return client }
            var configuration = self.configuration
            configuration.proxy = kind.proxy
            if kind.trustsNamedOnly, var tls = configuration.tlsConfiguration {
                tls.trustRoots = .certificates(tls.additionalTrustRoots.flatMap(\.certificates))
                tls.additionalTrustRoots = []
                configuration.tlsConfiguration = tls
            }
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            // Who sends after the end gets an error from a client that is closed, and not one that nobody closes.
            if state.isShutDown { client.shutdown { _ in } } else { state.clients[kind] = client }
            return client
        }
    }
}

extension NIOSSLAdditionalTrustRoots {
    fileprivate var certificates: [NIOSSLCertificate] {
        switch self {
        case .file(let path): (try? NIOSSLCertificate.fromPEMFile(path)) ?? []
        case .certificates(let certificates): certificates
        }
    }
}
