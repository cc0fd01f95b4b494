// SPDX-License-Identifier: Apache-2.0

package import AsyncHTTPClient
package import NIOCore
package import NIOSSL

extension HTTPClient.Configuration {
    /// HTTP/1.1 that does nothing behind its caller's back: no redirects, no decompression, no connection tried again.
    package static func plainSpoken(
        tls: TLSConfiguration,
        connect: TimeAmount,
        read: TimeAmount
    ) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls,
            redirectConfiguration: .disallow,
            timeout: .init(connect: connect, read: read),
            decompression: .disabled
        )
        configuration.httpVersion = .http1Only
        // A failed handshake is an answer: trying it again for as long as the deadline lasts only hides it.
        configuration.connectionPool.retryConnectionEstablishment = false
        return configuration
    }
}

extension TLSConfiguration {
    /// A client's TLS: 1.2 at least, the system's authorities and those given besides.
    package static func client(trusting authorities: [NIOSSLCertificate]) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if !authorities.isEmpty { tls.additionalTrustRoots = [.certificates(authorities)] }
        return tls
    }
}
