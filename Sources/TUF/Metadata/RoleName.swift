// SPDX-License-Identifier: Apache-2.0

/// The name of a role: one of the four top-level ones, or a delegated targets role.
///
/// Names are compared by their bytes.
public struct RoleName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The text of the name.
    public let text: String

    /// Takes a name as it is written in metadata. Whether it is allowed there is for ``WireFormat`` to say.
    public init(_ text: String) {
        self.text = text
    }

    /// The offline role that names the keys of all others.
    public static let root = RoleName("root")
    /// The role that names content.
    public static let targets = RoleName("targets")
    /// The role that says which versions of all others belong together.
    public static let snapshot = RoleName("snapshot")
    /// The role that says which snapshot is current.
    public static let timestamp = RoleName("timestamp")
    /// The role for mirrors that a root of TUF's format may define. Nobody uses it.
    static let mirrors = RoleName("mirrors")
    /// The four that every root defines.
    public static let topLevel: [RoleName] = [.root, .snapshot, .targets, .timestamp]

    /// True for any role but the four top-level ones.
    public var isDelegation: Bool { !Self.topLevel.contains(self) }

    /// True for `targets` and every delegated role: those whose metadata lists targets.
    public var listsTargets: Bool { self == .targets || self.isDelegation }

    /// The name.
    public var description: String { self.text }

    /// Equality of bytes.
    public static func == (left: RoleName, right: RoleName) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        for byte in self.text.utf8 { hasher.combine(byte) }
    }

    /// Order of bytes.
    public static func < (left: RoleName, right: RoleName) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}

extension RoleName {
    /// The longest name of a Notary delegation, in bytes.
    public static let notaryLimit = 255

    /// A delegated role of a Notary collection: `targets/` and path-clean components of `a-z 0-9 - _`.
    /// - Throws: ``TUFError`` with code `invalid` for any other name.
    public init(notaryDelegation text: String) throws {
        let components = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isValid =
            components.count >= 2 && components[0].elementsEqual("targets".utf8) && text.utf8.count <= Self.notaryLimit
            && components.dropFirst().allSatisfy { !$0.isEmpty && $0.allSatisfy(Self.isNotaryCharacter) }
        guard isValid else { throw TUFError(.invalid, "\(text.prefix(300)) is not the name of a delegated role") }
        self.text = text
    }

    /// A role of a Notary collection.
    /// - Throws: ``TUFError`` with code `invalid` for a name that is neither top-level nor a delegation's.
    public init(notary text: String) throws {
        let role = RoleName(text)
        if Self.topLevel.contains(role) { self = role } else { try self.init(notaryDelegation: text) }
    }

    /// The role above a Notary delegation: its name up to the last slash. Nil for a top-level role.
    public var notaryParent: RoleName? {
        guard self.isDelegation, let slash = self.text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return RoleName(String(self.text[..<slash]))
    }

    private static func isNotaryCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
