// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Names and documents of an OCI image layout (OCI image specification, image-layout.md), and Docker's archive.
enum ImageLayout {
    static let marker = "oci-layout"
    static let index = "index.json"
    static let dockerManifest = "manifest.json"
    static let markerContent = Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)
    /// The annotation that holds an image's name in a layout: a tag, for most tools.
    static let referenceName = "org.opencontainers.image.ref.name"
    /// The annotation that holds an image's whole name, by containerd and Docker.
    static let containerdName = "io.containerd.image.name"

    static func blob(_ digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.encoded)" }

    struct Marker: Decodable {
        let imageLayoutVersion: String
    }

    /// `index.json`, and every manifest that is made here.
    struct Document: Codable {
        var schemaVersion = 2
        var mediaType: MediaType?
        var config: Descriptor?
        var layers: [Descriptor]?
        var manifests: [Descriptor]?
        var annotations: [String: String]?
    }

    /// An image in the `manifest.json` of `docker save`.
    struct DockerImage: Codable {
        var config: String
        var repoTags: [String]?
        var layers: [String]?

        private enum CodingKeys: String, CodingKey {
            case config = "Config"
            case repoTags = "RepoTags"
            case layers = "Layers"
        }
    }

    /// What of an image's configuration tells which layers belong to it.
    struct Config: Decodable {
        struct RootFS: Decodable {
            let diffIDs: [Digest]?

            private enum CodingKeys: String, CodingKey {
                case diffIDs = "diff_ids"
            }
        }

        let rootfs: RootFS
    }

    /// JSON with sorted members and no white space: always the same bytes for the same value.
    static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return try Array(encoder.encode(value))
        } catch {
            throw OCIError(.manifestInvalid, "cannot be written as JSON: \(error)")
        }
    }

    static func checkMarker(_ bytes: [UInt8], _ path: String) throws {
        let marker = try StrictJSON.decode(
            Marker.self,
            from: bytes,
            failure: .archiveInvalid,
            what: "\(path): \(Self.marker)"
        )
        guard marker.imageLayoutVersion.hasPrefix("1.") else {
            throw OCIError(
                .archiveInvalid,
                "\(path): image layout version \(marker.imageLayoutVersion), 1.0.0 is supported"
            )
        }
    }

    static func parseDockerManifest(_ bytes: [UInt8], _ path: String) throws -> [DockerImage] {
        // The scanner wants an object at the top; `docker save` writes an array there.
        struct Wrapped: Decodable {
            let images: [DockerImage]
        }
        return try StrictJSON.decode(
            Wrapped.self,
            from: Array(#"{"images":"#.utf8) + bytes + Array("}".utf8),
            failure: .archiveInvalid,
            what: "\(path): \(Self.dockerManifest)"
        ).images
    }
}
