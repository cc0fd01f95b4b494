// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import OCI

/// Conditional requests over digests as entity tags (RFC 9110, section 13).
enum Conditions {
    /// The entity tags of a field: without quotes and weakness, as clients send digests bare, too.
    static func tags(_ field: String, in headers: HTTPHeaders) -> [String] {
        headers[canonicalForm: field].map { tag in
            var tag = tag
            if tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
            if tag.count >= 2, tag.hasPrefix("\""), tag.hasSuffix("\"") { tag = tag.dropFirst().dropLast() }
            return String(tag)
        }
    }

    /// True when the client has the content already.
    static func isUnchanged(_ digest: Digest, _ headers: HTTPHeaders) -> Bool {
        guard headers.contains(name: "if-none-match") else { return false }
        let text = digest.description
        return self.tags("if-none-match", in: headers).contains { $0 == text || $0 == "*" }
    }

    /// What must hold for a manifest to be stored.
    static func push(_ headers: HTTPHeaders) -> ManifestPush.Condition? {
        let wanted = self.tags("if-match", in: headers)
        guard wanted.isEmpty else { return .matches(wanted.contains("*") ? [] : wanted) }
        let unwanted = self.tags("if-none-match", in: headers)
        guard !unwanted.isEmpty else { return nil }
        return unwanted.contains("*") ? .isNew : .differs(unwanted)
    }
}
