// SPDX-License-Identifier: Apache-2.0

package import TUF

/// The reply to a request for a server-managed key.
package enum KeyResponse {
    /// The JSON, with `public` before `private`, which is not the order of the form that key ids are computed over.
    package static func encode(_ key: PublicKey) -> [UInt8] {
        Array(
            ("{\"keytype\":\(GoJSON.quoted(key.type.name)),\"keyval\":{\"public\":"
                + "\(GoJSON.quoted(Base64.encode(key.bytes))),\"private\":null}}").utf8
        )
    }

    /// Reads the JSON, whatever the order of its members.
    /// - Throws: ``TUFError`` with code `malformed`.
    package static func decode(_ body: [UInt8]) throws -> PublicKey {
        let value = try JSONParser.parse(body)
        guard let type = value["keytype"]?.string, let text = value["keyval"]?["public"]?.string,
            let bytes = Base64.decode(text)
        else {
            throw TUFError(.malformed, "a key must have a keytype, and in keyval a public part in base64")
        }
        return PublicKey(type: KeyType(type), bytes: bytes)
    }
}
