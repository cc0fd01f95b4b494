// SPDX-License-Identifier: Apache-2.0

import OCI

/// Manifests for tests.
enum Samples {
    static let imageType = "application/vnd.oci.image.manifest.v1+json"
    static let indexType = "application/vnd.oci.image.index.v1+json"
    static let dockerType = "application/vnd.docker.distribution.manifest.v2+json"
    static let listType = "application/vnd.docker.distribution.manifest.list.v2+json"
    static let artifactType = "application/vnd.oci.artifact.manifest.v1+json"

    static func descriptor(_ type: String, _ content: [UInt8], more: String = "") -> String {
        #"{"mediaType":"\#(type)","digest":"\#(Digest(hashing: content))","size":\#(content.count)\#(more)}"#
    }

    /// An image; `more` are members such as `,"subject":{…}`.
    static func image(
        config: [UInt8],
        layers: [[UInt8]],
        type: String? = Samples.imageType,
        configType: String = "application/vnd.oci.image.config.v1+json",
        layerType: String = "application/vnd.oci.image.layer.v1.tar",
        more: String = ""
    ) -> [UInt8] {
        let list = layers.map { Self.descriptor(layerType, $0) }.joined(separator: ",")
        let mediaType = type.map { #","mediaType":"\#($0)""# } ?? ""
        return Array(
            #"{"schemaVersion":2\#(mediaType),"config":\#(Self.descriptor(configType, config)),"layers":[\#(list)]\#(more)}"#
                .utf8
        )
    }

    /// An index of manifests of one type.
    static func index(
        _ manifests: [[UInt8]],
        type: String = Samples.indexType,
        of child: String = Samples.imageType
    )
        -> [UInt8]
    {
        let list = manifests.map { Self.descriptor(child, $0) }.joined(separator: ",")
        return Array(#"{"schemaVersion":2,"mediaType":"\#(type)","manifests":[\#(list)]}"#.utf8)
    }

    /// So many bytes that differ from place to place.
    static func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(truncatingIfNeeded: state)
        }
    }
}
