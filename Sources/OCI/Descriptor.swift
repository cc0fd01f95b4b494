// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A reference to content: its kind, digest and size (OCI image specification, descriptor.md).
public struct Descriptor: Sendable, Hashable {
    /// The kind of content.
    public var mediaType: MediaType
    /// What the content hashes to.
    public var digest: Digest
    /// The content's length in bytes; never negative.
    public var size: Int64
    /// Where else the content can be had.
    public var urls: [String]?
    /// Whatever the author wanted to say.
    public var annotations: [String: String]?
    /// The machine an image is for; in indexes.
    public var platform: Platform?
    /// The content itself, for small content.
    public var data: [UInt8]?
    /// What an artifact is; in indexes.
    public var artifactType: String?

    /// Puts a descriptor together.
    public init(
        mediaType: MediaType,
        digest: Digest,
        size: Int64,
        urls: [String]? = nil,
        annotations: [String: String]? = nil,
        platform: Platform? = nil,
        data: [UInt8]? = nil,
        artifactType: String? = nil
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.urls = urls
        self.annotations = annotations
        self.platform = platform
        self.data = data
        self.artifactType = artifactType
    }

    /// A descriptor of bytes in memory.
    public init(mediaType: MediaType, content: some Collection<UInt8>) {
        self.init(mediaType: mediaType, digest: Digest(hashing: content), size: Int64(content.count))
    }

    /// True when registries need not have the content: a layer that may not be distributed and says where it is.
    public var isForeign: Bool {
        self.mediaType.kind == .nondistributableLayer && !(self.urls ?? []).isEmpty
    }
}

extension Descriptor: Codable {
    private enum CodingKeys: String, CodingKey {
        case mediaType
        case digest
        case size
        case urls
        case annotations
        case platform
        case data
        case artifactType
    }

    /// Reads a descriptor; members that are not known are ignored.
    /// - Throws: ``OCIError`` with code `manifestInvalid` for a negative size or `data` that is not the content,
    ///   `digestInvalid` for the digest, `DecodingError` for members of the wrong type.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.digest = try container.decode(Digest.self, forKey: .digest)
        self.mediaType = try container.decode(MediaType.self, forKey: .mediaType)
        self.size = try container.decode(Int64.self, forKey: .size)
        self.urls = try container.decodeIfPresent([String].self, forKey: .urls)
        self.annotations = try container.decodeIfPresent([String: String].self, forKey: .annotations)
        self.platform = try container.decodeIfPresent(Platform.self, forKey: .platform)
        self.artifactType = try container.decodeIfPresent(String.self, forKey: .artifactType)
        guard self.size >= 0 else {
            throw OCIError(.manifestInvalid, "descriptor of \(self.digest) has the negative size \(self.size)")
        }
        if let text = try container.decodeIfPresent(String.self, forKey: .data) {
            guard let data = Data(base64Encoded: text).map(Array.init), Int64(data.count) == self.size,
                Digest(hashing: data, algorithm: self.digest.algorithm) == self.digest
            else {
                throw OCIError(
                    .manifestInvalid,
                    "descriptor of \(self.digest): the embedded data is not base64 of \(self.size) bytes with that digest"
                )
            }
            self.data = data
        }
    }

    /// Writes the members that are set.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.mediaType, forKey: .mediaType)
        try container.encode(self.digest, forKey: .digest)
        try container.encode(self.size, forKey: .size)
        try container.encodeIfPresent(self.urls, forKey: .urls)
        try container.encodeIfPresent(self.annotations, forKey: .annotations)
        try container.encodeIfPresent(self.platform, forKey: .platform)
        try container.encodeIfPresent(self.data.map { Data($0).base64EncodedString() }, forKey: .data)
        try container.encodeIfPresent(self.artifactType, forKey: .artifactType)
    }
}
