// SPDX-License-Identifier: Apache-2.0

package import HTTPAccess
package import NIOCore
package import NIOSSL

/// Which bucket a client works in, where it is, and how long the client tries.
package struct S3Configuration: Sendable {
    /// How a bucket is named in a request.
    package enum Addressing: Sendable, Hashable {
        /// `https://endpoint/bucket/key`: what gateways of one's own take without further set-up.
        case path
        /// `https://bucket.endpoint/key`: what Amazon wants.
        case virtualHost
    }

    /// What proves that a body arrived as it was sent. Neither needs the trailers of newer SDKs, which older gateways
    /// refuse.
    package enum Checksum: Sendable, Hashable {
        /// `Content-MD5`, which is signed; about three times as fast as SHA-256.
        case md5
        /// The body's SHA-256 in `x-amz-content-sha256`, as the signature's own part.
        case sha256
    }

    /// The bucket.
    package var bucket: String
    /// The region that requests are signed for.
    package var region: String
    /// Where the storage is; nil for Amazon's own in the region.
    package var endpoint: HTTPURL?
    /// How the bucket is named; nil for `path` with an endpoint, `virtualHost` at Amazon.
    package var addressing: Addressing?
    /// What proves that a body arrived.
    package var checksum: Checksum = .md5
    /// Certificates to trust besides the system's.
    package var additionalTrustRoots: [NIOSSLCertificate] = []
    /// The variables that name proxies.
    package var proxies = ProxyEnvironment([:])
    /// How many requests run at the same time; others wait.
    package var maximumRequests = 128
    /// How long a connection may take to come up.
    package var connectTimeout: TimeAmount = .seconds(5)
    /// How long a connection may be silent.
    package var readTimeout: TimeAmount = .seconds(30)
    /// How long a request may take with all its repetitions, up to the head of its reply.
    package var deadline: Duration = .seconds(120)
    /// How often a request is sent at most, the first time included.
    package var maximumAttempts = 6
    /// The wait before the first repetition; it doubles each time.
    package var backoff: Duration = .milliseconds(100)
    /// The longest wait.
    package var maximumBackoff: Duration = .seconds(10)
    /// How long to wait before a repetition, of a longest time. Tests own it.
    package var jitter: @Sendable (Duration) -> Duration = { $0 * Double.random(in: 0.5...1) }
    /// Waits.
    package var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    /// - Parameters:
    ///   - bucket: the bucket.
    ///   - region: the region that requests are signed for.
    ///   - endpoint: where the storage is; nil for Amazon's own.
    package init(bucket: String, region: String = "us-east-1", endpoint: HTTPURL? = nil) {
        self.bucket = bucket
        self.region = region
        self.endpoint = endpoint
    }
}
