// SPDX-License-Identifier: Apache-2.0

import Foundation
package import NIOCore
package import NIOHTTP1

extension HTTPResponse {
    /// A reply of JSON that is encoded already.
    package static func json(
        _ status: HTTPResponseStatus = .ok,
        bytes: ByteBuffer,
        contentType: String = "application/json; charset=utf-8",
        headers: HTTPHeaders = [:]
    ) -> HTTPResponse {
        var headers = headers
        headers.replaceOrAdd(name: "Content-Type", value: contentType)
        return HTTPResponse(status: status, headers: headers, body: .bytes(bytes))
    }

    /// A reply of JSON: keys sorted, slashes as they are.
    /// - Throws: what `value`'s encoding throws.
    package static func json(
        _ status: HTTPResponseStatus = .ok,
        encoding value: some Encodable,
        contentType: String = "application/json; charset=utf-8",
        headers: HTTPHeaders = [:]
    ) throws -> HTTPResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = try encoder.encode(value)
        return .json(status, bytes: ByteBuffer(bytes: bytes), contentType: contentType, headers: headers)
    }

    /// A reply of plain text.
    package static func text(_ status: HTTPResponseStatus = .ok, _ text: String) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: ["Content-Type": "text/plain; charset=utf-8"],
            body: .bytes(ByteBuffer(string: text))
        )
    }
}
