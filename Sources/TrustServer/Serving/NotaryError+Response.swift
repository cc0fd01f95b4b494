// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import NotaryAPI

extension NotaryError {
    /// The reply that tells the peer of this error.
    var response: HTTPResponse {
        HTTPResponse(
            status: HTTPResponseStatus(statusCode: self.code.status),
            headers: ["Content-Type": "application/json; charset=utf-8"],
            body: .bytes(ByteBuffer(bytes: self.body))
        )
    }
}
