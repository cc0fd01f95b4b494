// SPDX-License-Identifier: Apache-2.0

package import NIOHTTP1

/// Which media types a peer takes (RFC 9110, section 12.5.1): only whether it takes one, not how gladly.
package struct HTTPAccept: Sendable {
    private let ranges: [(type: Substring, isRefused: Bool)]
    /// There was no `Accept` field, so everything is taken.
    package let isAbsent: Bool

    /// - Parameter headers: May have several `Accept` fields; they count as one list.
    package init(_ headers: HTTPHeaders) {
        let values = headers[canonicalForm: "accept"]
        self.isAbsent = values.isEmpty
        self.ranges = values.prefix(256).map { value in
            let parts = value.split(separator: ";", omittingEmptySubsequences: false).map(\.trimmingBlanks)
            let isRefused = parts.dropFirst().contains { parameter in
                let pair = parameter.split(separator: "=", maxSplits: 1)
                return pair.count == 2 && pair[0].lowercased() == "q" && Double(pair[1]) == 0
            }
            return ((parts.first ?? "").lowercased()[...], isRefused)
        }
    }

    /// Whether `mediaType` is named itself, not by a wildcard.
    package func names(_ mediaType: String) -> Bool {
        self.ranges.contains { $0.type == mediaType.lowercased() && !$0.isRefused }
    }

    /// Whether `mediaType` may be sent.
    package func takes(_ mediaType: String) -> Bool {
        guard !self.isAbsent else { return true }
        let wanted = mediaType.lowercased()
        let family = (wanted.split(separator: "/").first ?? "") + "/*"
        for pattern in [wanted[...], family, "*/*"] {
            let matches = self.ranges.filter { $0.type == pattern }
            if !matches.isEmpty { return matches.contains { !$0.isRefused } }
        }
        return false
    }
}
