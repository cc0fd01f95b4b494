// SPDX-License-Identifier: Apache-2.0

package import OCI
package import TUF
package import TrustClient

/// What a tag means, according to those who may say so.
package struct TrustedImage: Sendable {
    /// The reference that was asked for.
    package let reference: ImageReference
    /// The tags that mean it, of those that were asked about: one, or with a reference by digest all that do.
    package let tags: [Tag]
    /// The manifest's digest, as it was signed.
    package let digest: Digest
    /// The manifest's size in bytes, as it was signed.
    package let size: Int64
    /// The role that signed it.
    package let role: RoleName
    /// How current the metadata is.
    package let freshness: Freshness?
    /// The root keys that have just become trusted; nil when the collection was known.
    package let firstUse: FirstUse?
    /// What did not stop the lookup but should be known.
    package let warnings: [CollectionWarning]
}

/// Everything that is signed of one repository.
package struct TrustedRepository: Sendable {
    /// One tag that counts, and who says so.
    package struct SignedTag: Sendable, Hashable {
        /// The tag.
        package let name: String
        /// The manifest's digest; nil for a target that has no SHA-256.
        package let digest: Digest?
        /// The manifest's size in bytes.
        package let size: Int64
        /// The people who signed this very content; empty when it was the owner of `targets`.
        package let signers: [String]
    }

    /// The collection's name.
    package let gun: String
    /// The tags, in the order of their bytes.
    package let tags: [SignedTag]
    /// The people who may sign.
    package let signers: [NamedSigner]
    /// The ids of the root keys, as the root names them.
    package let rootKeyIDs: [KeyID]
    /// The ids of the keys of `targets`.
    package let repositoryKeyIDs: [KeyID]
    /// How current the metadata is.
    package let freshness: Freshness?
    /// The root keys that have just become trusted; nil when the collection was known.
    package let firstUse: FirstUse?
    /// What did not stop the reading but should be known.
    package let warnings: [CollectionWarning]
}

extension TargetFile {
    /// The digest of the manifest that this target names, if it names one by SHA-256.
    package var manifestDigest: Digest? {
        self.hashes.sha256.flatMap { try? Digest("sha256:" + Hexadecimal.encode($0)) }
    }
}
