// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import PercentEncoding

/// Where a bucket is: how its objects' URLs are made.
struct S3Address: Sendable {
    let addressing: S3Configuration.Addressing
    private let origin: HTTPURL.Origin
    /// The encoded path of the bucket, without a slash at its end.
    private let base: String

    /// - Throws: ``S3Error`` with code `configuration`.
    init(_ configuration: S3Configuration) throws {
        let bucket = configuration.bucket
        guard (1...255).contains(bucket.utf8.count), bucket.utf8.allSatisfy(Self.isBucketByte), !bucket.hasPrefix(".")
        else {
            throw S3Error(.configuration, "S3: \"\(bucket.printable())\" is not the name of a bucket")
        }
        let region = configuration.region
        guard !region.isEmpty, region.utf8.allSatisfy(Self.isBucketByte) else {
            throw S3Error(.configuration, "S3: \"\(region.printable())\" is not the name of a region")
        }
        guard let endpoint = configuration.endpoint ?? HTTPURL("https://s3.\(region).amazonaws.com"),
            !endpoint.target.contains("?")
        else {
            throw S3Error(.configuration, "S3: the endpoint is not the URL of a host: https://HOST or http://HOST:PORT")
        }
        self.addressing = configuration.addressing ?? (configuration.endpoint == nil ? .virtualHost : .path)
        let path = endpoint.target.hasSuffix("/") ? String(endpoint.target.dropLast()) : endpoint.target
        switch self.addressing {
        case .path:
            self.origin = endpoint.origin
            self.base = path + "/" + bucket
        case .virtualHost:
            guard
                let origin = HTTPURL.Origin(
                    scheme: endpoint.origin.scheme,
                    authority: bucket + "." + endpoint.origin.authority
                )
            else {
                throw S3Error(
                    .configuration,
                    "S3: the bucket \(bucket) cannot be part of a host's name; use path style"
                )
            }
            self.origin = origin
            self.base = path
        }
    }

    /// What `Host` says.
    var host: String { self.origin.authority }

    /// Scheme and host, for messages.
    var root: String { "\(self.origin.scheme.rawValue)://\(self.origin.authority)" }

    /// The encoded path of an object, or of the bucket.
    func path(_ key: String?) -> String {
        guard let key else { return self.base.isEmpty ? "/" : self.base }
        return self.base + "/" + PercentCoding.encode(key, keeping: "/")
    }

    /// The URL of an object, or of the bucket.
    /// - Parameter query: encoded.
    func url(_ key: String?, query: String) -> HTTPURL {
        HTTPURL(self.origin, self.path(key) + (query.isEmpty ? "" : "?" + query))
    }

    private static func isBucketByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
