// SPDX-License-Identifier: Apache-2.0

public import TUF

/// Why a repository could not be read or verified, or a target not be downloaded.
///
/// Nothing that was trusted before is lost when one is thrown. ``message`` is for people, ``code`` for programs: two errors are
/// equal when their codes are.
public struct UpdaterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: String, Sendable, Hashable {
        /// There is no root to begin with, or the repository lacks metadata that it must have.
        case noTrustData
        /// The repository has no such target.
        case notSigned
        /// A signature, key or root that must not be trusted, or bytes that are no metadata.
        case signature
        /// Metadata past its expiry, or (offline) checked too long ago.
        case expired
        /// A rollback, or metadata that does not belong together.
        case rollback
        /// Content that is not what its target lists.
        case contentMismatch
        /// The repository cannot be reached, is too slow, or answers with an error of its own.
        case unreachable
        /// A target of more bytes than the caller takes.
        case tooLarge
        /// A name of a target or a URL that cannot be used.
        case invalid
        /// A file here that cannot be read or written.
        case storage
        /// Steps in an order that cannot be: a mistake in here.
        case other

        /// The failure that a refusal of metadata is.
        init(_ refusal: TUFError.Code) {
            switch refusal {
            case .malformed, .invalid, .invalidKey, .thresholdNotMet, .rootRotation, .untrustedRoot: self = .signature
            case .expired: self = .expired
            // A length or hash that is not the listed one is metadata that does not belong together; more than is listed or
            // bounded is its coarsest form.
            case .rollback, .mismatch, .tooLarge: self = .rollback
            case .notDelegated, .unknownTarget: self = .notSigned
            case .order: self = .other
            }
        }

        /// How a command that ends with this failure exits.
        package var exitCode: Int32 {
            switch self {
            case .noTrustData: 10
            case .notSigned: 11
            case .signature: 12
            case .expired: 13
            case .rollback: 14
            case .contentMismatch: 15
            case .unreachable: 20
            case .tooLarge, .invalid, .storage, .other: 1
            }
        }
    }

    /// The kind of failure.
    public let code: Code
    /// What was found, what was expected, what to do next.
    public let message: String
    /// The refusal underneath, with the role concerned, where it is metadata or content that was refused.
    public let refusal: TUFError?

    /// Makes an error.
    package init(_ code: Code, _ message: String, refusal: TUFError? = nil) {
        self.code = code
        self.message = message
        self.refusal = refusal
    }

    /// Takes a refusal of metadata.
    init(_ refusal: TUFError) {
        self.init(Code(refusal.code), refusal.description, refusal: refusal)
    }

    /// The message.
    public var description: String { self.message }

    /// Equality of codes.
    public static func == (left: UpdaterError, right: UpdaterError) -> Bool { left.code == right.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(self.code) }

    /// Runs a step and makes errors of this kind of the refusals it throws.
    static func refusing<Result>(_ step: () async throws -> Result) async throws -> Result {
        do {
            return try await step()
        } catch let error as TUFError {
            throw UpdaterError(error)
        }
    }
}
