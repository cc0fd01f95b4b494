// SPDX-License-Identifier: Apache-2.0

package import NIOHTTP1

/// Conditions on a resource that is known by its entity tag (RFC 9110, section 13).
package enum HTTPConditional {
    /// Whether `If-None-Match` names the tag, so that a GET or HEAD is answered with 304.
    /// - Parameter tag: The entity tag with its quotes. Compared weakly, as the field demands.
    package static func isNotModified(_ headers: HTTPHeaders, tag: String) -> Bool {
        headers[canonicalForm: "if-none-match"].contains { $0 == "*" || Self.opaque($0) == Self.opaque(tag) }
    }

    /// Whether a `Range` may be honoured: there is no `If-Range`, or it names the tag (compared strongly). A date never
    /// matches: content known by its digest has none.
    package static func allowsRange(_ headers: HTTPHeaders, tag: String) -> Bool {
        guard let condition = headers.first(name: "if-range") else { return true }
        return condition.trimmingBlanks == tag && !tag.hasPrefix("W/")
    }

    private static func opaque(_ tag: some StringProtocol) -> String {
        tag.hasPrefix("W/") ? String(tag.dropFirst(2)) : String(tag)
    }
}
