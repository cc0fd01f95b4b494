// SPDX-License-Identifier: Apache-2.0

package import OCI

/// What is signed of images, and how to sign them.
package protocol ImageTrust: Sendable {
    /// What a tag means.
    /// - Throws: ``DockerFrontError`` with code `untrusted`, in docker's words.
    func digest(of reference: ImageReference) async throws -> Digest

    /// All tags of a repository that count, in their order.
    /// - Throws: ``DockerFrontError`` with code `untrusted`, in docker's words.
    func tags(of repository: ImageReference) async throws -> [SignedTag]

    /// Signs what a tag means from now on.
    /// - Returns: whether the collection was made for it.
    /// - Throws: ``DockerFrontError`` with code `untrusted`, in docker's words.
    func sign(_ reference: ImageReference, digest: Digest, size: Int64) async throws -> Bool
}

/// A tag and what it means.
package struct SignedTag: Sendable, Hashable {
    package let tag: Tag
    package let digest: Digest

    package init(tag: Tag, digest: Digest) {
        self.tag = tag
        self.digest = digest
    }
}
