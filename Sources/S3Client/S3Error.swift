// SPDX-License-Identifier: Apache-2.0

import HTTPAccess

/// Why a request to S3 failed.
package struct S3Error: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    package enum Code: Sendable, Hashable {
        /// There is no such bucket.
        case noSuchBucket
        /// There is no such object.
        case noSuchKey
        /// The multipart upload has ended, one way or the other.
        case noSuchUpload
        /// A part of a multipart upload is not, or no longer, what it was said to be.
        case invalidPart
        /// The object is not the one that was asked for.
        case preconditionFailed
        /// The object has fewer bytes than the range begins with.
        case invalidRange
        /// The credentials are unknown, have expired, or do not allow this.
        case accessDenied
        /// The clocks of this machine and of the storage differ by too much.
        case clockSkew
        /// The bucket is in another region than requests are signed for.
        case wrongRegion
        /// What was sent did not arrive as it was.
        case checksumMismatch
        /// The storage has a problem, or more to do than it can, and has had for as long as was tried.
        case unavailable
        /// The storage cannot be reached, or breaks off.
        case unreachable
        /// As many requests run as may, and none ended in time.
        case busy
        /// A reply that is none of S3's.
        case invalidReply
        /// A setting that cannot be used: of the bucket, the endpoint or the credentials.
        case configuration
        /// Another error of S3's, by its name.
        case refused(String)
    }

    /// What went wrong.
    package let code: Code
    /// What was found, what was expected, and what to do. Never a secret.
    package let message: String
    /// The status of the reply, if there was one.
    package let status: UInt?
    /// The region that the storage named, if it did.
    let region: String?

    package init(_ code: Code, _ message: String, status: UInt? = nil, region: String? = nil) {
        self.code = code
        self.message = message
        self.status = status
        self.region = region
    }

    /// A setting that cannot be used.
    /// - Parameters:
    ///   - setting: its name.
    ///   - message: what was found, and what was expected.
    package init(setting: String, _ message: String) {
        self.init(.configuration, "\(setting): \(message)")
    }

    /// The message.
    package var description: String { self.message }

    /// Whether the same may succeed a little later.
    package var isTemporary: Bool {
        switch self.code {
        case .unavailable, .unreachable, .busy, .checksumMismatch: true
        default: false
        }
    }
}

extension S3Error {
    /// What a reply stands for.
    /// - Parameters:
    ///   - status: its status.
    ///   - document: its body, if that was an error's.
    ///   - place: bucket and key.
    ///   - action: what was being done.
    init(status: UInt, document: S3ErrorDocument?, place: String, action: String) {
        let code = Self.code(status: status, name: document?.code)
        var message = "S3: \(action) \(place): "
        if let document {
            message += "\(document.code.printable(limit: 100)) (\(status))"
            if !document.message.isEmpty { message += ": \(document.message.printable())" }
            if let id = document.requestID, !id.isEmpty { message += ", request \(id.printable(limit: 100))" }
        } else {
            message += "status \(status)"
        }
        if let advice = Self.advice(code, region: document?.region) { message += "; \(advice)" }
        self.init(code, message, status: status, region: document?.region)
    }

    private static func code(status: UInt, name: String?) -> Code {
        switch name {
        case "NoSuchBucket": return .noSuchBucket
        case "NoSuchKey": return .noSuchKey
        case "NoSuchUpload": return .noSuchUpload
        case "InvalidPart", "InvalidPartOrder": return .invalidPart
        case "PreconditionFailed": return .preconditionFailed
        case "InvalidRange": return .invalidRange
        case "RequestTimeTooSkewed", "RequestExpired": return .clockSkew
        case "AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken",
            "SignatureDoesNotMatch":
            return .accessDenied
        case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect": return .wrongRegion
        case "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody": return .checksumMismatch
        case "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling",
            "ThrottlingException", "TooManyRequests", "RequestThrottled", "XMinioServerNotInitialized":
            return .unavailable
        default: break
        }
        switch status {
        case 408, 429, 500, 502, 503, 504: return .unavailable
        case 301, 307: return .wrongRegion
        case 401, 403: return .accessDenied
        case 404: return .noSuchKey
        case 412: return .preconditionFailed
        case 416: return .invalidRange
        default: return .refused(name ?? String(status))
        }
    }

    private static func advice(_ code: Code, region: String?) -> String? {
        switch code {
        case .noSuchBucket: "make the bucket, or name another one"
        case .accessDenied: "check access key, secret key, and what the storage's policy allows them"
        case .clockSkew: "set this machine's clock"
        case .wrongRegion:
            region.map { "sign for the region \($0.printable(limit: 60))" }
                ?? "check region, endpoint and the style of addresses"
        case .unavailable: "the storage has a problem or too much to do"
        default: nil
        }
    }
}

/// The body of an error's reply.
struct S3ErrorDocument: Sendable, Equatable {
    let code: String
    let message: String
    let requestID: String?
    let region: String?

    /// - Returns: nil when the body is none of an error.
    init?(_ document: XMLNode) {
        guard document.name == "Error", let code = document["Code"]?.text, !code.isEmpty else { return nil }
        self.code = code
        self.message = document["Message"]?.text ?? ""
        self.requestID = document["RequestId"]?.text
        self.region = document["Region"]?.text
    }
}
