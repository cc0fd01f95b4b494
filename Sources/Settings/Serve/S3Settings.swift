// SPDX-License-Identifier: Apache-2.0

/// Where the registry keeps blobs, if not in files.
package enum S3Settings: SettingGroup {
    package static let title = "Registry on S3"
    package static let settings = [
        Self.bucket.declaration, Self.prefix.declaration, Self.region.declaration, Self.endpoint.declaration,
        Self.addressing.declaration, Self.accessKey.declaration, Self.secretKey.declaration,
        Self.credentialsFile.declaration, Self.profile.declaration, Self.authority.declaration,
        Self.checksum.declaration, Self.requests.declaration, Self.redirects.declaration,
        Self.redirectEndpoint.declaration, Self.redirectLifetime.declaration,
    ]

    package static let bucket = Setting(
        "registry.s3.bucket",
        .text("name"),
        otherwise: "blobs are files under `data`",
        help: "Keep blobs in this bucket of S3-compatible storage, instead of files under --data."
    )

    package static let prefix = Setting(
        "registry.s3.prefix",
        .text("prefix"),
        otherwise: "none",
        help: "What the keys of all objects begin with, such as registry/. Nobody else's may."
    )

    package static let region = Setting(
        "registry.s3.region",
        .text("region"),
        default: "us-east-1",
        help: "The region that requests are signed for."
    )

    package static let endpoint = Setting(
        "registry.s3.endpoint",
        .webAddress,
        otherwise: "Amazon's in the region",
        help: "Where the storage is: https://HOST or, inside a network that may be trusted, http://HOST:PORT."
    )

    package static let addressing = Setting(
        "registry.s3.addressing",
        .choice(["path", "virtual-host"]),
        otherwise: "path with an endpoint, virtual-host at Amazon",
        help: "How the bucket is named: path (https://HOST/BUCKET/KEY) or virtual-host (https://BUCKET.HOST/KEY)."
    )

    package static let accessKey = Setting(
        "registry.s3.access-key",
        .text("key"),
        otherwise: "that of the credentials file, or `AWS_ACCESS_KEY_ID`",
        help: "The access key."
    )

    package static let secretKey = Setting(
        "registry.s3.secret-key",
        .secret("key"),
        otherwise: "that of the credentials file, or `AWS_SECRET_ACCESS_KEY`",
        help:
            "The secret key. It belongs into a file or HALLMARK_REGISTRY_S3_SECRET_KEY; others on the machine can see options."
    )

    package static let credentialsFile = Setting(
        "registry.s3.credentials-file",
        .file,
        otherwise: "`AWS_SHARED_CREDENTIALS_FILE`",
        help: "A credentials file as Amazon's tools have it, which is read again when it changes."
    )

    package static let profile = Setting(
        "registry.s3.profile",
        .text("name"),
        default: "default",
        help: "The profile in the credentials file."
    )

    package static let authority = Setting(
        "registry.s3.ca",
        .file,
        otherwise: "the system's",
        help: "The CA of the storage's certificate, PEM, besides the system's."
    )

    package static let checksum = Setting(
        "registry.s3.checksum",
        .choice(["md5", "sha256"]),
        default: "md5",
        help: "What proves that an object arrived: md5 (Content-MD5, signed) or sha256 (x-amz-content-sha256, slower)."
    )

    package static let requests = Setting(
        "registry.s3.requests",
        .number(1...10_000),
        default: 128,
        help: "The most requests to the storage at once."
    )

    package static let redirects = Setting(
        "registry.s3.redirect",
        .flag,
        default: false,
        help: "Send clients to the storage for blobs, with URLs that are good for a while, instead of serving them."
    )

    package static let redirectEndpoint = Setting(
        "registry.s3.redirect-endpoint",
        .webAddress,
        otherwise: "`registry.s3.endpoint`",
        help: "Where clients reach the storage."
    )

    package static let redirectLifetime = Setting(
        "registry.s3.redirect-lifetime",
        .number(10...604_800, of: "seconds"),
        default: 1200,
        help: "How long the URLs are good for."
    )
}

extension SettingType where Value == String {
    /// An http or https URL of a host.
    static var webAddress: Self {
        .word(
            "URL",
            expected: "https://HOST or http://HOST, with a port if it is not the usual one",
            placeholder: "url",
            text: { $0 },
            parse: { word in
                let parts = word.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
                let isPlain = word.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "@") }
                guard parts.count == 2, ["http", "https"].contains(parts[0].lowercased()), !parts[1].isEmpty,
                    !parts[1].hasPrefix("/"), isPlain, !word.contains("?"), !word.contains("#")
                else { return nil }
                return word
            }
        )
    }

    /// A text that is not shown.
    static func secret(_ placeholder: String) -> Self {
        .word(
            "text",
            expected: "a \(placeholder)",
            placeholder: placeholder,
            hidingSecrets: { _ in "***" },
            text: { $0 },
            parse: { $0.isEmpty ? nil : $0 }
        )
    }
}
