// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import TUF
import Testing

@Suite("The configuration of the notary client")
struct NotaryClientConfigurationTests {
    private func read(_ json: String) throws -> NotaryClientConfiguration {
        let path = FileManager.default.temporaryDirectory.appending(path: "notary-\(UUID()).json").path
        try Data(json.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try NotaryClientConfiguration(path: path)
    }

    @Test("pins and the refusal of first use are taken as they are")
    func pinning() throws {
        let id = String(repeating: "0a", count: 32)
        let configuration = try self.read(
            #"{"trust_pinning":{"disable_tofu":true,"certs":{"a/b":["\#(id)"],"c/*":"\#(id)"}}}"#
        )
        #expect(configuration.anchor(for: "a/b") == .keyIDs([KeyID(id)]))
        #expect(configuration.anchor(for: "c/d") == .keyIDs([KeyID(id)]))
        #expect(configuration.anchor(for: "e") == .knownOnly)
        #expect(try self.read(#"{"trust_pinning":{"disable_tofu":false}}"#).anchor(for: "e") == .firstUse)
        #expect(try self.read("{}").anchor(for: "e") == .firstUse)
    }

    @Test(
        "what would silently not pin is refused",
        arguments: [
            #"{"trust_pinning":{"disable_tofu":"true"}}"#, #"{"trust_pinning":{"disable_tofu":1}}"#,
            #"{"trust_pinning":{"disable_TOFU":true}}"#, #"{"Trust_Pinning":{"disable_tofu":true}}"#,
            #"{"trust_pinning":[]}"#, #"{"trust_pinning":{"certs":[]}}"#, #"{"trust_pinning":{"certs":{"a":[]}}}"#,
            #"{"trust_pinning":{"certs":{"a":["x",1]}}}"#, #"{"trust_pinning":{"ca":{"a":"ca.crt"}}}"#,
            #"{"trust_pinning":{"ca":"ca.crt"}}"#,
        ]
    )
    func refused(_ json: String) {
        #expect(throws: ContentTrustError.self) { try self.read(json) }
    }
}
