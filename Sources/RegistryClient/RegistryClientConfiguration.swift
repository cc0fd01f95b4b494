// SPDX-License-Identifier: Apache-2.0

package import HTTPAccess
package import NIOCore
package import NIOSSL

/// How a client reaches a registry, and how long it tries.
package struct RegistryClientConfiguration: Sendable {
    /// Whether the connection is encrypted.
    package enum SchemePolicy: Sendable, Hashable {
        /// HTTPS; on this machine itself, plain HTTP when the port does not speak TLS.
        case automatic
        /// HTTPS only.
        case https
        /// Plain HTTP only, for registries the user has declared insecure.
        case http
    }

    /// Whether the connection is encrypted.
    package var scheme: SchemePolicy = .automatic
    /// Certificates to trust besides the system's.
    package var additionalTrustRoots: [NIOSSLCertificate] = []
    /// Which proxy is asked. None is asked for what is on this machine.
    package var proxies = ProxyEnvironment([:])
    /// How long a connection may take to come up.
    package var connectTimeout: TimeAmount = .seconds(10)
    /// The most connections at once; requests beyond wait for one, no longer than ``connectTimeout``.
    package var maximumConnections = 8
    /// How long a connection may be silent while an answer is awaited.
    package var readTimeout: TimeAmount = .seconds(60)
    /// How long the head of an answer to GET or HEAD may take, however it trickles in.
    package var answerTimeout: TimeAmount = .minutes(5)
    /// The least that a body must bring in each ``paceWindow`` that is spent waiting for it, in bytes.
    package var minimumBytesPerWindow = 30 << 10
    /// Over how long ``minimumBytesPerWindow`` is measured.
    package var paceWindow: Duration = .seconds(30)
    /// How often a request that may be repeated is sent at most, the first included.
    package var maximumAttempts = 5
    /// The wait before the first repetition; it doubles each time.
    package var backoff: Duration = .milliseconds(400)
    /// The longest wait, also when the registry asks for more.
    package var maximumBackoff: Duration = .seconds(30)
    /// What is sent as `User-Agent`.
    package var userAgent = "hallmark"
    /// Waits; tests return at once.
    package var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    /// The time that token expiry and the pace of bodies are measured by.
    package var now: @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }

    package init() {}
}
