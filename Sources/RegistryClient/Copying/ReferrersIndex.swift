// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OCI

/// The index that clients keep of a manifest's referrers, for registries that do not.
enum ReferrersIndex {
    private struct Document: Encodable {
        let schemaVersion = 2
        let mediaType = MediaType.imageIndex
        let manifests: [Descriptor]
    }

    /// The bytes of the index with one more manifest; nil when it is there.
    /// - Throws: `OCIError` when what is there is no index.
    static func adding(_ manifest: FetchedManifest, to present: FetchedManifest?) throws -> [UInt8]? {
        let parsed = try manifest.parse()
        let index = try present?.parse()
        guard index?.isIndex != false else {
            throw OCIError(
                .manifestInvalid,
                "the tag for the list of referrers stands for something else than an index"
            )
        }
        var list = index?.manifests ?? []
        guard !list.contains(where: { $0.digest == manifest.descriptor.digest }) else { return nil }
        var entry = manifest.descriptor
        entry.artifactType = parsed.referrerArtifactType
        entry.annotations = parsed.annotations.isEmpty ? nil : parsed.annotations
        list.append(entry)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(Document(manifests: list)))
    }
}
