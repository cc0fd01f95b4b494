// SPDX-License-Identifier: Apache-2.0

/// The name of a repository inside a registry, such as `library/alpine` (OCI distribution specification, pulling
/// manifests: `<name>`).
///
/// Components of lower-case letters and digits, separated inside by `.`, `_`, `__` or dashes, joined by `/`; at most
/// ``maximumLength`` characters.
public struct RepositoryName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The most characters a name may have; host, slash and name together may not have more either.
    public static let maximumLength = 255

    /// The name as it was given.
    public let description: String

    /// Parses a name.
    /// - Throws: ``OCIError`` with code `referenceInvalid` when a component breaks the grammar or the name is too long.
    public init(_ text: some StringProtocol) throws {
        guard text.utf8.count <= Self.maximumLength else {
            throw OCIError(
                .referenceInvalid,
                "repository name \(text.prefix(64))… has \(text.utf8.count) characters, at most \(Self.maximumLength)"
            )
        }
        for component in text.split(separator: "/", omittingEmptySubsequences: false)
        where !Self.isComponent(component.utf8) {
            throw OCIError(
                .referenceInvalid,
                """
                repository name \(text): component "\(component)" must be lower-case letters and digits, \
                with single '.', '_', '__' or dashes between them
                """
            )
        }
        self.description = String(text)
    }

    /// The parts between the slashes; at least one.
    public var components: [Substring] { self.description.split(separator: "/") }

    /// Orders by the bytes of the whole name, as the catalog of a registry does.
    public static func < (left: RepositoryName, right: RepositoryName) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }

    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
    private static func isComponent(_ bytes: some Sequence<UInt8>) -> Bool {
        var separator: [UInt8] = []
        var previousIsAlphanumeric = false
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                separator.removeAll(keepingCapacity: true)
                previousIsAlphanumeric = true
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                guard previousIsAlphanumeric || separator.last == byte else { return false }
                previousIsAlphanumeric = false
                separator.append(byte)
                let longest = byte == UInt8(ascii: ".") ? 1 : byte == UInt8(ascii: "_") ? 2 : Int.max
                guard separator.count <= longest else { return false }
            default:
                return false
            }
        }
        return previousIsAlphanumeric
    }
}

extension RepositoryName: Codable {
    /// Reads the text form.
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.description)
    }
}
