// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import NotaryAPI

extension NotaryError {
    /// The reply that tells the peer of this error.
    var response: HTTPResponse {
        var headers: HTTPHeaders = ["Content-Type": "application/json; charset=utf-8"]
        if self.code == .unavailable { headers.add(name: "Retry-After", value: "5") }
        return HTTPResponse(
            status: HTTPResponseStatus(statusCode: self.code.status),
            headers: headers,
            body: .bytes(ByteBuffer(bytes: self.body))
        )
    }
}
