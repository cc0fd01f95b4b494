// SPDX-License-Identifier: Apache-2.0

/// Something that is not as it should be.
package struct ScrubProblem: Sendable, Equatable, Encodable {
    package enum Kind: String, Sendable, Encodable {
        /// The bytes of a blob are others than its digest says.
        case damagedBlob
        /// The bytes of a blob are not there.
        case missingBytes
        /// The bytes of a manifest are others than its digest says.
        case damagedManifest
        /// A manifest needs a blob or a manifest that its repository does not have.
        case missingTarget
        /// A tag stands for a manifest that is not there.
        case missingManifest
        /// The bytes of a blob could not be read: they may be right.
        case unreadable
        /// A row of the database is none that a registry writes.
        case invalidRow
    }

    /// Who suffers from it.
    package struct Place: Sendable, Equatable, Encodable {
        package let repository: String
        package let manifest: String
        package let tags: [String]
    }

    package let kind: Kind
    package let digest: String
    package var location: String?
    package var message: String
    package var affected: [Place] = []
}

/// What a scrub found.
package struct ScrubSummary: Sendable, Equatable, Encodable {
    package var blobs: Int64 = 0
    package var bytes: Int64 = 0
    package var manifests: Int64 = 0
    package var problems: Int64 = 0
    /// Bytes that nothing names, and how many there are of them: a collection removes them when they are a day old.
    package var orphans: Int64 = 0
    package var orphanBytes: Int64 = 0
    /// Whether an earlier scrub that did not come to its end was gone on with.
    package var resumed = false

    package init() {}
}

/// Is told how a scrub goes on.
package struct ScrubObserver: Sendable {
    /// How many blobs of how many were looked at, and how many bytes of how many.
    package var progress: @Sendable (_ blobs: (Int64, of: Int64), _ bytes: (Int64, of: Int64)) -> Void = { _, _ in }
    /// What is wrong.
    package var problem: @Sendable (ScrubProblem) -> Void = { _ in }

    package init() {}
}
