// SPDX-License-Identifier: Apache-2.0

import PercentEncoding
package import TUF

/// Which of the stored metadata of a role is meant.
package enum MetadataReference: Sendable, Hashable {
    /// What the current timestamp leads to.
    case current
    /// The file with this SHA-256, in lower-case hexadecimal.
    case sha256(String)
    /// The file with this version, 1 or more.
    case version(Int64)
}

/// What a path of the Notary server's API names.
package enum TrustPath: Sendable, Hashable {
    /// `/v2/`: is a trust server here?
    case ping
    /// `/_notary_server/health`
    case health
    /// `/metrics`
    case metrics
    /// `/v2/<gun>/_trust/changefeed`, or without a GUN that of all collections.
    case changefeed(GUN?)
    /// `/v2/<gun>/_trust/tuf/`: publish to it, or delete it.
    case collection(GUN)
    /// `/v2/<gun>/_trust/tuf/<role>.json` and its forms by hash and by version.
    case metadata(GUN, RoleName, MetadataReference)
    /// `/v2/<gun>/_trust/tuf/{timestamp,snapshot}.key`: the public key that the server holds for a role.
    case key(GUN, RoleName)
}

/// Why a path names nothing.
package struct TrustPathError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// Not a path of this API.
        case notFound
        /// The path of a collection, but its GUN breaks the rules: a publisher must be told.
        case invalidGUN
    }

    package let code: Code
    package let message: String

    package var description: String { self.message }
}

extension TrustPath {
    /// The longest path that is looked at, in bytes: a GUN and a role with every byte escaped fit.
    package static let limit = 2048

    /// Reads the path of a request, still percent-encoded. A second slash in front, from a server URL that ends in one, is
    /// ignored.
    ///
    /// A GUN may itself contain `/_trust/`, so it is the right end that decides.
    /// - Throws: ``TrustPathError``.
    package init(parsing path: String) throws(TrustPathError) {
        let notFound = TrustPathError(code: .notFound, message: "no such path")
        var bytes = path.utf8[...]
        guard bytes.count <= Self.limit else {
            // The API's own shapes tell a publisher with an endless name from a stray request.
            guard bytes.suffix(12).elementsEqual("/_trust/tuf/".utf8) else { throw notFound }
            throw TrustPathError(code: .invalidGUN, message: "the path is longer than \(Self.limit) bytes")
        }
        if bytes.starts(with: "//".utf8) { bytes = bytes.dropFirst() }
        guard bytes.starts(with: "/v2/".utf8) else {
            switch path {
            case "/_notary_server/health": self = .health
            case "/metrics": self = .metrics
            default: throw notFound
            }
            return
        }
        bytes = bytes.dropFirst(4)
        if bytes.isEmpty {
            self = .ping
        } else if bytes.elementsEqual("_trust/changefeed".utf8) {
            self = .changefeed(nil)
        } else {
            self = try Self.collectionPath(bytes, otherwise: notFound)
        }
    }

    private typealias Bytes = Substring.UTF8View

    private static func collectionPath(
        _ bytes: Bytes,
        otherwise notFound: TrustPathError
    ) throws(TrustPathError) -> TrustPath {
        let changefeed = "/_trust/changefeed".utf8
        if bytes.count > changefeed.count, bytes.suffix(changefeed.count).elementsEqual(changefeed) {
            guard let gun = try? self.gun(bytes.dropLast(changefeed.count)) else { throw notFound }
            return .changefeed(gun)
        }
        let marker = "/_trust/tuf/".utf8
        var end = bytes.endIndex
        while let slash = bytes[..<end].lastIndex(of: UInt8(ascii: "/")) {
            end = slash
            guard bytes[slash...].starts(with: marker) else { continue }
            let leaf = bytes[slash...].dropFirst(marker.count)
            guard let build = self.leaf(leaf) else { continue }
            do {
                return build(try self.gun(bytes[..<slash]))
            } catch {
                throw leaf.isEmpty ? error : notFound
            }
        }
        throw notFound
    }

    private static func gun(_ encoded: Bytes) throws(TrustPathError) -> GUN {
        guard let text = PercentCoding.decode(Substring(encoded)) else {
            throw TrustPathError(code: .notFound, message: "the path is not percent-encoded UTF-8")
        }
        do {
            return try GUN(text)
        } catch {
            throw TrustPathError(code: .invalidGUN, message: "\(error)")
        }
    }

    /// What stands after `/_trust/tuf/`; nil when it is none of the API's.
    private static func leaf(_ leaf: Bytes) -> ((GUN) -> TrustPath)? {
        if leaf.isEmpty { return { .collection($0) } }
        guard let text = PercentCoding.decode(Substring(leaf)) else { return nil }
        switch text {
        case "timestamp.key": return { .key($0, .timestamp) }
        case "snapshot.key": return { .key($0, .snapshot) }
        default: break
        }
        guard text.utf8.suffix(5).elementsEqual(".json".utf8) else { return nil }
        let parts = text.utf8.dropLast(5).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 1 || parts.count == 2 else { return nil }
        let reference: MetadataReference
        let name: Bytes
        if parts.count == 1 {
            (reference, name) = (.current, parts[0])
        } else if let version = self.version(parts[0]) {
            (reference, name) = (.version(version), parts[1])
        } else if self.isSHA256(parts[1]) {
            (reference, name) = (.sha256(String(parts[1]) ?? ""), parts[0])
        } else {
            return nil
        }
        guard let role = try? RoleName(notary: String(name) ?? "") else { return nil }
        return { .metadata($0, role, reference) }
    }

    /// A version in decimal digits; leading zeros are ignored, as Notary does.
    private static func version(_ digits: Bytes) -> Int64? {
        guard !digits.isEmpty, digits.count <= 32, digits.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }),
            let version = Int64(String(digits) ?? ""), version >= 1
        else { return nil }
        return version
    }

    private static func isSHA256(_ text: Bytes) -> Bool {
        text.count == 64
            && text.allSatisfy {
                $0 &- UInt8(ascii: "0") < 10 || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}

extension TrustPath {
    /// The path as it goes into a request, percent-encoded the way Go's client does it.
    package var encoded: String {
        switch self {
        case .ping: "/v2/"
        case .health: "/_notary_server/health"
        case .metrics: "/metrics"
        case .changefeed(nil): "/v2/_trust/changefeed"
        case .changefeed(.some(let gun)): "/v2/\(Self.encoded(gun))/_trust/changefeed"
        case .collection(let gun): Self.prefix(gun)
        case .key(let gun, let role): "\(Self.prefix(gun))\(role.text).key"
        case .metadata(let gun, let role, .current): "\(Self.prefix(gun))\(role.text).json"
        case .metadata(let gun, let role, .sha256(let hash)): "\(Self.prefix(gun))\(role.text).\(hash).json"
        case .metadata(let gun, let role, .version(let version)): "\(Self.prefix(gun))\(version).\(role.text).json"
        }
    }

    private static func prefix(_ gun: GUN) -> String {
        "/v2/\(Self.encoded(gun))/_trust/tuf/"
    }

    /// Everything is escaped that Go's client escapes in a path; slashes stay.
    private static func encoded(_ gun: GUN) -> String {
        PercentCoding.encode(gun.text, keeping: "$&+,/:;=@")
    }
}
