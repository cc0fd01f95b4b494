// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import HTTPService
import NIOCore
package import NIOHTTP1

/// A refusal in the form of the distribution specification: codes with messages, and the status that goes with them.
package struct RegistryError: HTTPErrorConvertible, Sendable, CustomStringConvertible {
    /// The codes of the OCI distribution specification, then those that only Docker's registry has.
    package enum Code: String, Sendable, Hashable, CaseIterable {
        case blobUnknown = "BLOB_UNKNOWN"
        case blobUploadInvalid = "BLOB_UPLOAD_INVALID"
        case blobUploadUnknown = "BLOB_UPLOAD_UNKNOWN"
        case digestInvalid = "DIGEST_INVALID"
        case manifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
        case manifestInvalid = "MANIFEST_INVALID"
        case manifestUnknown = "MANIFEST_UNKNOWN"
        case nameInvalid = "NAME_INVALID"
        case nameUnknown = "NAME_UNKNOWN"
        case sizeInvalid = "SIZE_INVALID"
        case unauthorized = "UNAUTHORIZED"
        case unsupported = "UNSUPPORTED"
        case tooManyRequests = "TOOMANYREQUESTS"
        case rangeInvalid = "RANGE_INVALID"
        case tagInvalid = "TAG_INVALID"
        case paginationNumberInvalid = "PAGINATION_NUMBER_INVALID"
        case unavailable = "UNAVAILABLE"
        case unknown = "UNKNOWN"

        /// The status that goes with the code unless the error says otherwise.
        package var status: HTTPResponseStatus {
            switch self {
            case .blobUnknown, .blobUploadInvalid, .blobUploadUnknown, .manifestUnknown, .nameUnknown: .notFound
            case .digestInvalid, .manifestBlobUnknown, .manifestInvalid, .nameInvalid, .sizeInvalid, .tagInvalid,
                .paginationNumberInvalid:
                .badRequest
            case .unauthorized: .unauthorized
            case .unsupported: .methodNotAllowed
            case .tooManyRequests: .tooManyRequests
            case .rangeInvalid: .rangeNotSatisfiable
            case .unavailable: .serviceUnavailable
            case .unknown: .internalServerError
            }
        }
    }

    /// One of the things that are wrong.
    package struct Item: Sendable, Hashable, Encodable {
        /// What kind of thing is wrong.
        package let code: Code
        /// What was found, and what was expected.
        package let message: String
        /// The values concerned, for programs.
        package let detail: [String: String]?

        private enum CodingKeys: String, CodingKey {
            case code
            case message
            case detail
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(self.code.rawValue, forKey: .code)
            try container.encode(self.message, forKey: .message)
            try container.encodeIfPresent(self.detail, forKey: .detail)
        }
    }

    /// What is wrong; never empty.
    package let items: [Item]
    /// The status of the reply.
    package let status: HTTPResponseStatus
    /// Fields that the reply has besides those of every error.
    package let headers: HTTPHeaders

    /// The code of the first thing that is wrong.
    package var code: Code { self.items.first?.code ?? .unknown }

    package var description: String {
        self.items.map { "\($0.code.rawValue): \($0.message)" }.joined(separator: "; ")
    }

    /// An error about one thing.
    package init(
        _ code: Code,
        _ message: String,
        detail: [String: String]? = nil,
        status: HTTPResponseStatus? = nil,
        headers: HTTPHeaders = [:]
    ) {
        self.items = [Item(code: code, message: message, detail: detail)]
        self.status = status ?? code.status
        self.headers = headers
    }

    /// One error about several digests, all with the same code.
    /// - Parameter more: How many there are that are not named.
    init(_ code: Code, unknownDigests digests: [String], more: Int) {
        var items = digests.map { digest in
            Item(code: code, message: "\(digest) is not in this repository; push it first", detail: ["digest": digest])
        }
        if more > 0 {
            items.append(Item(code: code, message: "and \(more) more are not in this repository", detail: nil))
        }
        self.items = items
        self.status = code.status
        self.headers = [:]
    }

    private init(items: [Item], status: HTTPResponseStatus, headers: HTTPHeaders) {
        self.items = items
        self.status = status
        self.headers = headers
    }

    package var response: HTTPResponse {
        var headers = self.headers
        headers.replaceOrAdd(name: "content-type", value: "application/json")
        let body = RegistryJSON.encode(["errors": self.items])
        return HTTPResponse(status: self.status, headers: headers, body: .bytes(body))
    }
}

/// How every JSON body of the registry is written.
enum RegistryJSON {
    /// The value as JSON. Values of ours always encode; should one not, the body is an empty object.
    static func encode(_ value: some Encodable) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        guard let data = try? encoder.encode(value) else { return ByteBuffer(string: "{}") }
        return ByteBuffer(bytes: data)
    }
}

extension RegistryError {
    /// The same error with more fields in its reply.
    func adding(_ headers: HTTPHeaders) -> RegistryError {
        var all = self.headers
        all.add(contentsOf: headers)
        return RegistryError(items: self.items, status: self.status, headers: all)
    }
}
