// SPDX-License-Identifier: Apache-2.0

/// What a manifest says: enough to check it, to walk to what it refers to, and to list it as a referrer.
///
/// It does not keep the bytes. These are what has the digest: store and serve them, never an encoding of this.
public struct Manifest: Sendable, Hashable {
    /// The largest manifest accepted, in bytes.
    public static let maximumSize = 4 << 20
    /// The most descriptors one manifest may have.
    public static let maximumDescriptors = 10_000

    /// The kinds of manifest that are supported.
    public enum Kind: Sendable, Hashable, CaseIterable {
        /// An OCI image manifest; also other artifacts.
        case image
        /// An OCI image index.
        case index
        /// A Docker image manifest, schema 2.
        case dockerImage
        /// A Docker manifest list.
        case dockerList
        /// An artifact manifest, as withdrawn from the OCI specification before 1.1.
        case artifact

        /// The media type of the kind.
        public var mediaType: MediaType {
            switch self {
            case .image: .imageManifest
            case .index: .imageIndex
            case .dockerImage: .dockerManifest
            case .dockerList: .dockerManifestList
            case .artifact: .artifactManifest
            }
        }

        /// The kind of a media type, if it is a manifest's.
        public init?(_ mediaType: MediaType) {
            guard let kind = Self.allCases.first(where: { $0.mediaType == mediaType }) else { return nil }
            self = kind
        }

        /// True for kinds that list other manifests.
        public var isIndex: Bool { self == .index || self == .dockerList }
    }

    /// The kind.
    public let kind: Kind
    /// The configuration, for images.
    public let config: Descriptor?
    /// The layers from the lowest up; for artifact manifests their blobs.
    public let layers: [Descriptor]
    /// The manifests an index lists.
    public let manifests: [Descriptor]
    /// The manifest this one is about, which need not exist.
    public let subject: Descriptor?
    /// What kind of artifact this is, when it says so itself.
    public let artifactType: String?
    /// Whatever the author wanted to say.
    public let annotations: [String: String]

    /// The media type of the kind.
    public var mediaType: MediaType { self.kind.mediaType }

    /// True when it lists other manifests.
    public var isIndex: Bool { self.kind.isIndex }

    /// The blobs a registry must have before it takes the manifest: configuration and layers, without foreign ones.
    public var blobs: [Descriptor] {
        (self.config.map { [$0] } ?? []) + self.layers.filter { !$0.isForeign }
    }

    /// The layers that registries need not have, since their `urls` say where they are.
    public var foreignLayers: [Descriptor] { self.layers.filter(\.isForeign) }

    /// The artifact type to list the manifest with as a referrer: its own, else its configuration's media type.
    public var referrerArtifactType: String? {
        if let own = self.artifactType, !own.isEmpty { return own }
        return self.isIndex ? nil : self.config?.mediaType.rawValue
    }

    /// The entry of an index that suits a machine best; nil when none does.
    ///
    /// Entries without a platform are taken only if the index has no others.
    public func entry(for platform: Platform) -> Descriptor? {
        let ranked = self.manifests.enumerated().compactMap { index, descriptor in
            descriptor.platform?.suitability(for: platform).map { (rank: ($0, index), descriptor) }
        }
        if let best = ranked.min(by: { $0.rank < $1.rank }) { return best.1 }
        let isPlain = self.manifests.allSatisfy { $0.platform == nil }
        return isPlain && self.manifests.count == 1 ? self.manifests.first : nil
    }

    init(
        kind: Kind,
        config: Descriptor?,
        layers: [Descriptor],
        manifests: [Descriptor],
        subject: Descriptor?,
        artifactType: String?,
        annotations: [String: String]
    ) {
        self.kind = kind
        self.config = config
        self.layers = layers
        self.manifests = manifests
        self.subject = subject
        self.artifactType = artifactType
        self.annotations = annotations
    }
}
