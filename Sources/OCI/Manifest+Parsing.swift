// SPDX-License-Identifier: Apache-2.0

extension Manifest {
    /// Reads and checks a manifest.
    ///
    /// Refused are: other schema versions than 2, a `mediaType` member that differs from the type given, Docker kinds
    /// without one, documents that are image and index at once (CVE-2021-41190), duplicate members, too many descriptors,
    /// too much nesting or size, and whatever has the wrong form.
    /// - Parameters:
    ///   - bytes: the exact bytes, of which the digest is taken.
    ///   - mediaType: the type that came with them, from `Content-Type` or a descriptor. With nil the document's own
    ///     `mediaType`, else its shape decides: right for files on disk, wrong for content off the wire.
    /// - Throws: ``OCIError`` with code `manifestInvalid`, or `digestInvalid` for a bad digest inside.
    public init(parsing bytes: some Collection<UInt8>, mediaType: MediaType?) throws {
        if let mediaType { try Self.check(supported: mediaType) }
        guard bytes.count <= Self.maximumSize else {
            throw OCIError(
                .manifestInvalid,
                "manifest of \(bytes.count) bytes, at most \(Self.maximumSize) are accepted"
            )
        }
        let document = try StrictJSON.decode(
            Document.self,
            from: Array(bytes),
            names: Self.names,
            failure: .manifestInvalid,
            what: "manifest"
        )
        try self.init(document, kind: document.kind(given: mediaType))
    }

    private init(_ document: Document, kind: Kind) throws {
        try document.checkMembers(of: kind)
        let layers = (kind == .artifact ? document.blobs : document.layers) ?? []
        let manifests = document.manifests ?? []
        guard layers.count + manifests.count <= Self.maximumDescriptors else {
            throw OCIError(
                .manifestInvalid,
                "manifest with \(layers.count + manifests.count) descriptors, at most \(Self.maximumDescriptors) are accepted"
            )
        }
        if let entry = manifests.first(where: { $0.mediaType.kind == .schema1 }) {
            throw OCIError(.manifestInvalid, "index lists \(entry.digest) of Docker schema 1, which is not supported")
        }
        self.init(
            kind: kind,
            config: document.config,
            layers: layers,
            manifests: manifests,
            subject: document.subject,
            artifactType: document.artifactType,
            annotations: document.annotations ?? [:]
        )
    }

    private static let names = StrictJSON.Names(
        top: [
            "schemaVersion", "mediaType", "config", "layers", "manifests", "blobs", "subject", "artifactType",
            "annotations",
        ],
        nested: ["mediaType", "digest", "size", "urls", "annotations", "platform", "data", "artifactType"],
        nestedIn: ["config", "layers", "manifests", "blobs", "subject"]
    )

    fileprivate static func check(supported mediaType: MediaType) throws {
        if mediaType.kind == .schema1 {
            throw OCIError(
                .manifestInvalid,
                "\(mediaType) is Docker schema 1, which is not supported; push the image again with a current client"
            )
        }
        guard Kind(mediaType) != nil else {
            throw OCIError(
                .manifestInvalid,
                "\"\(mediaType.rawValue.prefix(160))\" is not a manifest's media type; expected one of "
                    + MediaType.manifests.map(\.rawValue).joined(separator: ", ")
            )
        }
    }
}

/// A manifest of any kind as it is written.
private struct Document: Decodable {
    let schemaVersion: Int?
    let mediaType: MediaType?
    let config: Descriptor?
    let layers: [Descriptor]?
    let manifests: [Descriptor]?
    let blobs: [Descriptor]?
    let subject: Descriptor?
    let artifactType: String?
    let annotations: [String: String]?

    private enum CodingKeys: String, CodingKey {
        case schemaVersion
        case mediaType
        case config
        case layers
        case manifests
        case blobs
        case subject
        case artifactType
        case annotations
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.schemaVersion = try container.decodeIfPresent(Int.self, forKey: .schemaVersion)
        self.mediaType = try container.decodeIfPresent(MediaType.self, forKey: .mediaType)
        if self.schemaVersion == 1 { try Manifest.check(supported: .dockerSchema1) }
        self.config = try container.decodeIfPresent(Descriptor.self, forKey: .config)
        self.layers = try Self.decodeList(container, .layers)
        self.manifests = try Self.decodeList(container, .manifests)
        self.blobs = try Self.decodeList(container, .blobs)
        self.subject = try container.decodeIfPresent(Descriptor.self, forKey: .subject)
        self.artifactType = try container.decodeIfPresent(String.self, forKey: .artifactType)
        self.annotations = try container.decodeIfPresent([String: String].self, forKey: .annotations)
    }

    /// A list that is there, even as null, which Go writes for an empty one; nil when it is not there.
    private static func decodeList(
        _ container: KeyedDecodingContainer<CodingKeys>,
        _ key: CodingKeys
    ) throws -> [Descriptor]? {
        guard container.contains(key) else { return nil }
        return try container.decodeIfPresent([Descriptor].self, forKey: key) ?? []
    }

    func kind(given: MediaType?) throws -> Manifest.Kind {
        let own = self.mediaType.flatMap { $0.rawValue.isEmpty ? nil : $0 }
        if let own { try Manifest.check(supported: own) }
        if let given, let own, given != own {
            throw OCIError(.manifestInvalid, "manifest was given as \(given), but its mediaType says \(own)")
        }
        let shape: MediaType = self.manifests != nil ? .imageIndex : .imageManifest
        guard let kind = Manifest.Kind(given ?? own ?? shape) else {
            throw OCIError(.manifestInvalid, "manifest of unknown kind")
        }
        if own == nil, kind != .image, kind != .index {
            throw OCIError(.manifestInvalid, "\(kind.mediaType) needs a mediaType member that says so")
        }
        return kind
    }

    func checkMembers(of kind: Manifest.Kind) throws {
        guard kind == .artifact || self.schemaVersion == 2 else {
            let found = self.schemaVersion.map(String.init) ?? "missing"
            throw OCIError(.manifestInvalid, "schemaVersion must be 2, it is \(found)")
        }
        let present = [
            self.config.map { _ in "config" }, self.layers.map { _ in "layers" },
            self.manifests.map { _ in "manifests" },
            self.blobs.map { _ in "blobs" },
        ].compactMap { $0 }
        let (required, allowed): (Set<String>, Set<String>) =
            switch kind {
            case .image, .dockerImage: (["config", "layers"], ["config", "layers"])
            case .index, .dockerList: (["manifests"], ["manifests"])
            case .artifact: ([], ["blobs"])
            }
        if let missing = required.subtracting(present).min() {
            throw OCIError(.manifestInvalid, "\(kind.mediaType) needs the member \(missing)")
        }
        if let extra = Set(present).subtracting(allowed).min() {
            throw OCIError(
                .manifestInvalid,
                "\(kind.mediaType) must not have the member \(extra): readers would disagree on what the manifest is"
            )
        }
    }
}
