// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import NIOFoundationCompat

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
        // Deep nesting overflows the stack of a recursive decoder; a true error never has it.
        var depth = 0
        for byte in body.readableBytesView {
            if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") { depth += 1 }
        }
        guard depth < 256, let document = try? JSONDecoder().decode(Document.self, from: Data(buffer: body)),
            let entry = document.errors?.first, let code = entry.code
        else { return nil }
        return (
            RegistryError.printable(code, limit: 64), RegistryError.printable(entry.message ?? "no message")
        )
    }
}
