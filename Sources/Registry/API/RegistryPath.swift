// SPDX-License-Identifier: Apache-2.0

package import NIOHTTP1
package import OCI
import PercentEncoding

/// What a path of the distribution API names.
///
/// A repository's name may end in words that routes are made of (`a/blobs/uploads`), so a path is read from its end.
package enum RegistryPath: Sendable, Hashable {
    /// `/v2/`
    case base
    /// `/v2/_catalog`
    case catalog
    /// `/v2/<name>/tags/list`
    case tags(RepositoryName)
    /// `/v2/<name>/blobs/<digest>`
    case blob(RepositoryName, Digest)
    /// `/v2/<name>/manifests/<reference>`
    case manifest(RepositoryName, Reference)
    /// `/v2/<name>/blobs/uploads/`, with or without the last slash
    case uploads(RepositoryName)
    /// `/v2/<name>/blobs/uploads/<id>`
    case upload(RepositoryName, UploadID)
    /// `/v2/<name>/referrers/<digest>`
    case referrers(RepositoryName, Digest)

    /// The longest path that is looked at, in bytes: the longest name, words and digest have room, even all escaped.
    static let maximumLength = 2048

    /// Parses the path of a request target, percent-encoded as it was sent.
    ///
    /// Each segment is decoded by itself: an escaped slash never makes a new segment.
    /// - Throws: ``RegistryError``: `nameInvalid`, `digestInvalid`, `tagInvalid` or `blobUploadUnknown` for a bad part
    ///   of a known route, `unsupported` with status 404 for anything else.
    package init(_ path: String) throws {
        guard path.utf8.count <= Self.maximumLength else {
            throw RegistryError(.nameInvalid, "the path has \(path.utf8.count) bytes, at most \(Self.maximumLength)")
        }
        let encoded = path.split(separator: "/", omittingEmptySubsequences: false)
        guard encoded.count >= 2, encoded[0].isEmpty, encoded[1] == "v2" else { throw Self.unknownRoute }
        var segments: [String] = []
        for (position, segment) in encoded.enumerated().dropFirst(2) {
            guard let decoded = PercentCoding.decode(segment) else {
                throw RegistryError(.nameInvalid, "the path has a broken percent escape")
            }
            guard !decoded.utf8.contains(UInt8(ascii: "/")) || position == encoded.count - 1 else {
                throw RegistryError(.nameInvalid, "an escaped slash cannot be part of a name")
            }
            segments.append(decoded)
        }
        self = try Self.route(segments)
    }

    private static func route(_ segments: [String]) throws -> RegistryPath {
        if segments.isEmpty || segments == [""] { return .base }
        if segments == ["_catalog"] { return .catalog }
        let count = segments.count
        guard count >= 3 else { throw Self.unknownRoute }
        let last = segments[count - 1]
        let word = segments[count - 2]
        if count >= 4, last.isEmpty, word == "uploads", segments[count - 3] == "blobs" {
            return try .uploads(Self.name(segments.dropLast(3)))
        }
        switch (word, last) {
        case ("tags", "list"):
            return try .tags(Self.name(segments.dropLast(2)))
        case ("blobs", "uploads"):
            return try .uploads(Self.name(segments.dropLast(2)))
        case ("manifests", _):
            return try .manifest(Self.name(segments.dropLast(2)), Self.reference(last))
        case ("blobs", _):
            return try .blob(Self.name(segments.dropLast(2)), Self.digest(last))
        case ("referrers", _):
            return try .referrers(Self.name(segments.dropLast(2)), Self.digest(last))
        case ("uploads", _) where count >= 4 && segments[count - 3] == "blobs":
            let name = try Self.name(segments.dropLast(3))
            guard let id = UploadID(last) else { throw RegistryError.uploadUnknown }
            return .upload(name, id)
        default:
            throw Self.unknownRoute
        }
    }

    /// The methods that the route has, for `Allow`.
    package var allowedMethods: [HTTPMethod] {
        switch self {
        case .base, .catalog, .tags, .referrers: [.GET, .HEAD]
        case .blob: [.GET, .HEAD, .DELETE]
        case .manifest: [.GET, .HEAD, .PUT, .DELETE]
        case .uploads: [.POST]
        case .upload: [.GET, .HEAD, .PATCH, .PUT, .DELETE]
        }
    }

    private static var unknownRoute: RegistryError {
        RegistryError(.unsupported, "no such route; the API is under /v2/<name>/", status: .notFound)
    }

    /// - Throws: ``RegistryError`` with code `nameInvalid`.
    static func name(_ segments: some Sequence<String>) throws -> RepositoryName {
        do {
            return try RepositoryName(segments.joined(separator: "/"))
        } catch let error as OCIError {
            throw RegistryError(.nameInvalid, error.message)
        }
    }

    /// - Throws: ``RegistryError`` with code `digestInvalid`.
    static func digest(_ text: String) throws -> Digest {
        do {
            return try Digest(text)
        } catch let error as OCIError {
            throw RegistryError(.digestInvalid, error.message)
        }
    }

    private static func reference(_ text: String) throws -> Reference {
        do {
            return try Reference(text)
        } catch let error as OCIError {
            throw RegistryError(error.code == .digestInvalid ? .digestInvalid : .tagInvalid, error.message)
        }
    }
}

extension RegistryError {
    static var uploadUnknown: RegistryError {
        RegistryError(.blobUploadUnknown, "no such upload: it is finished, cancelled, purged or was never started")
    }
}
