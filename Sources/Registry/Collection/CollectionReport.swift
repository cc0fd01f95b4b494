// SPDX-License-Identifier: Apache-2.0

/// Something that a collection removed, or would remove.
package struct CollectedItem: Sendable, Equatable, Encodable {
    package enum Kind: String, Sendable, Encodable {
        case tag
        case manifest
        case blob
        /// That a repository has a blob.
        case link
        case repository
        /// Bytes that nothing names.
        case bytes
    }

    package let kind: Kind
    package var repository: String?
    /// The name of a tag.
    package var tag: String?
    package var digest: String?
    /// Where bytes are that have no other name.
    package var location: String?
    /// In bytes; nil for what takes none to speak of.
    package var size: Int64?
    package var reason: String
}

/// How much a collection removed, or would remove.
package struct CollectionSummary: Sendable, Equatable, Encodable {
    package var tags: Int64 = 0
    package var manifests: Int64 = 0
    package var manifestBytes: Int64 = 0
    package var blobs: Int64 = 0
    package var blobBytes: Int64 = 0
    package var links: Int64 = 0
    package var repositories: Int64 = 0
    package var orphans: Int64 = 0
    package var orphanBytes: Int64 = 0
    /// Bytes that could not be removed, and are tried again by the next collection.
    package var failures: Int64 = 0

    package init() {}

    /// Everything that was given back, in bytes.
    package var bytes: Int64 {
        [self.manifestBytes, self.blobBytes, self.orphanBytes].reduce(0) { $0.addingReportingOverflow($1).partialValue }
    }

    mutating func count(_ item: CollectedItem) {
        let size = item.size ?? 0
        switch item.kind {
        case .tag: self.tags += 1
        case .manifest:
            self.manifests += 1
            self.manifestBytes &+= size
        case .blob:
            self.blobs += 1
            self.blobBytes &+= size
        case .link: self.links += 1
        case .repository: self.repositories += 1
        case .bytes:
            self.orphans += 1
            self.orphanBytes &+= size
        }
    }
}

/// Is told how a collection or a scrub goes on.
package struct ChoreObserver: Sendable {
    /// What is being done, and how many were looked at.
    package var progress: @Sendable (_ step: String, _ count: Int64) -> Void = { _, _ in }
    /// What was removed, or would be.
    package var item: @Sendable (CollectedItem) -> Void = { _ in }

    package init() {}
}
