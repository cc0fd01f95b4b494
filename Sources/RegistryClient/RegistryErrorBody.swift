// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import NIOCore

/// The first error of `{"errors":[…]}`, fit to be shown.
enum RegistryErrorBody {
    private struct Document: Decodable {
        struct Entry: Decodable {
            let code: String?
            let message: String?
        }

        let errors: [Entry]?
    }

    static func parse(_ body: ByteBuffer) -> (code: String, message: String)? {
        guard let document = BoundedJSON.decode(Document.self, from: body),
            let entry = document.errors?.first, let code = entry.code
        else { return nil }
        return (
            code.printable(limit: 64), (entry.message ?? "no message").printable()
        )
    }
}
