// SPDX-License-Identifier: Apache-2.0

/// A refusal: metadata, a key or content that must not be used, and why.
///
/// Two errors are equal when their codes are; ``message`` names the role, key ids, versions or dates concerned.
public struct TUFError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of refusal.
    public enum Code: String, Sendable, Hashable {
        /// Bytes that are not the JSON, or not the kind of metadata, that was expected.
        case malformed
        /// Well-formed metadata that contradicts itself or lacks what is mandatory.
        case invalid
        /// A key that cannot be decoded, is too weak, or whose id is not its own.
        case invalidKey
        /// Fewer distinct keys have signed than the threshold asks for.
        case thresholdNotMet
        /// A root that the trusted root does not vouch for.
        case rootRotation
        /// A root certificate that does not fit the collection's name, its pins, or the time.
        case untrustedRoot
        /// Metadata past its expiry.
        case expired
        /// A version lower than one already trusted, or other content under the same version.
        case rollback
        /// A version, length or hash that is not the one the role above it lists.
        case mismatch
        /// More bytes than the role above it lists, or than the bound for this kind.
        case tooLarge
        /// A delegation that does not exist, or a path that its role may not hold.
        case notDelegated
        /// No such target in any role that may hold it.
        case unknownTarget
        /// Steps of an update in the wrong order: a mistake of the caller.
        case order
    }

    /// The kind of refusal.
    public let code: Code
    /// What was found and what was expected.
    public let message: String
    /// The role concerned, if one is.
    public let role: RoleName?

    /// Makes an error.
    public init(_ code: Code, role: RoleName? = nil, _ message: String) {
        self.code = code
        self.role = role
        self.message = Self.printable(message)
    }

    /// Messages quote what an attacker may have written: no control character of it reaches a terminal or a log.
    private static func printable(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(Self.messageLimit).map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: "\u{FFFD}"
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }

    private static let messageLimit = 4096

    /// The message, after the role's name where there is one.
    public var description: String {
        guard let role = self.role else { return self.message }
        return Self.printable("\(role): \(self.message)")
    }

    /// Equality of codes.
    public static func == (left: TUFError, right: TUFError) -> Bool { left.code == right.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
}
