// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import OCI

/// What kinds of manifest a client takes, by all lines of its `Accept` together (RFC 9110, section 12.5.1).
struct AcceptedTypes {
    /// In lower case, without parameters, and without those that the client does not take (`q=0`).
    private let types: [String]

    init(_ headers: HTTPHeaders) {
        self.types = headers[canonicalForm: "accept"].compactMap { item in
            let parts = item.lowercased().split(separator: ";")
            let isRefused = parts.dropFirst().contains { parameter in
                let pair = parameter.filter { $0 != " " && $0 != "\t" }.split(separator: "=")
                return pair.count == 2 && pair[0] == "q" && Double(pair[1]) == 0
            }
            guard !isRefused, let type = parts.first else { return nil }
            return String(type.filter { $0 != " " && $0 != "\t" })
        }
    }

    /// Whether the client names this type.
    func names(_ type: MediaType) -> Bool { self.types.contains(type.rawValue) }

    /// Whether the client is too old for lists of manifests: it names what it takes, images of Docker among it, and
    /// neither lists nor everything. Whoever names nothing takes everything.
    var needsImageInsteadOfList: Bool {
        self.names(.dockerManifest)
            && !self.types.contains { [MediaType.dockerManifestList.rawValue, "*/*", "application/*"].contains($0) }
    }
}
