// SPDX-License-Identifier: Apache-2.0

/// What kind of content a descriptor names.
public struct MediaType: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The type without parameters.
    public let rawValue: String

    /// Takes a type as it is.
    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    /// Takes the type out of a `Content-Type` field: without parameters and white space, in lower case.
    public init(contentType: some StringProtocol) {
        let type = contentType.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
        let trimmed = type.drop(while: { $0 == " " || $0 == "\t" })
        let end = trimmed.lastIndex(where: { $0 != " " && $0 != "\t" }).map { trimmed.index(after: $0) }
        self.rawValue = trimmed[..<(end ?? trimmed.startIndex)].lowercased()
    }

    /// The text of the type.
    public var description: String { self.rawValue }

    /// An OCI image manifest; also carries other artifacts.
    public static let imageManifest = MediaType(rawValue: "application/vnd.oci.image.manifest.v1+json")
    /// An OCI image index.
    public static let imageIndex = MediaType(rawValue: "application/vnd.oci.image.index.v1+json")
    /// A Docker image manifest, version 2, schema 2.
    public static let dockerManifest = MediaType(rawValue: "application/vnd.docker.distribution.manifest.v2+json")
    /// A Docker manifest list.
    public static let dockerManifestList = MediaType(
        rawValue: "application/vnd.docker.distribution.manifest.list.v2+json"
    )
    /// A Docker manifest of schema 1, without signature; not supported.
    public static let dockerSchema1 = MediaType(rawValue: "application/vnd.docker.distribution.manifest.v1+json")
    /// A Docker manifest of schema 1, signed; not supported.
    public static let dockerSignedSchema1 = MediaType(
        rawValue: "application/vnd.docker.distribution.manifest.v1+prettyjws"
    )
    /// The artifact manifest that was withdrawn before version 1.1 of the image specification.
    public static let artifactManifest = MediaType(rawValue: "application/vnd.oci.artifact.manifest.v1+json")

    /// The configuration of an OCI image.
    public static let imageConfig = MediaType(rawValue: "application/vnd.oci.image.config.v1+json")
    /// The configuration of a Docker image.
    public static let dockerConfig = MediaType(rawValue: "application/vnd.docker.container.image.v1+json")
    /// `{}`, where a manifest needs a configuration but has none.
    public static let empty = MediaType(rawValue: "application/vnd.oci.empty.v1+json")
    /// A layer as plain tar.
    public static let layer = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar")
    /// A layer as gzip'd tar.
    public static let layerGzip = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+gzip")
    /// A layer as tar compressed by zstd.
    public static let layerZstd = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+zstd")
    /// A Docker layer as plain tar; never in a registry.
    public static let dockerLayer = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar")
    /// A Docker layer as gzip'd tar.
    public static let dockerLayerGzip = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar.gzip")
    /// A Docker layer that may not be distributed.
    public static let dockerForeignLayer = MediaType(
        rawValue: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    )
    /// Bytes of no known kind.
    public static let octetStream = MediaType(rawValue: "application/octet-stream")

    /// Every kind of manifest that is supported, the preferred first: what a client puts into `Accept`.
    public static let manifests: [MediaType] = [
        .imageIndex, .imageManifest, .dockerManifestList, .dockerManifest, .artifactManifest,
    ]

    /// A coarse class of media types.
    public enum Kind: Sendable, Hashable {
        /// A manifest of one image or artifact.
        case manifest
        /// A manifest that lists manifests.
        case index
        /// A Docker manifest of schema 1, which is refused.
        case schema1
        /// An image configuration.
        case config
        /// A layer of an image.
        case layer
        /// A layer that stays out of registries, where its `urls` say.
        case nondistributableLayer
        /// Anything else.
        case other
    }

    /// The class of this type.
    public var kind: Kind {
        switch self {
        case .imageManifest, .dockerManifest, .artifactManifest: .manifest
        case .imageIndex, .dockerManifestList: .index
        case .dockerSchema1, .dockerSignedSchema1: .schema1
        case .imageConfig, .dockerConfig, .empty: .config
        case .layer, .layerGzip, .layerZstd, .dockerLayer, .dockerLayerGzip: .layer
        case .dockerForeignLayer: .nondistributableLayer
        default:
            self.rawValue.hasPrefix("application/vnd.oci.image.layer.nondistributable.v1.tar")
                ? .nondistributableLayer : .other
        }
    }

    /// True for manifests and indexes of any kind, schema 1 included.
    public var isManifest: Bool {
        switch self.kind {
        case .manifest, .index, .schema1: true
        case .config, .layer, .nondistributableLayer, .other: false
        }
    }
}

extension MediaType: Codable {
    /// Reads the text form.
    public init(from decoder: any Decoder) throws {
        try self.init(rawValue: decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.rawValue)
    }
}
