// SPDX-License-Identifier: Apache-2.0

import OCI

/// An image as it is named on docker's command line.
enum ImageArgument: Sendable, Hashable {
    /// By its tag; `isComplete` is false where the tag was left out.
    case tag(ImageReference, isComplete: Bool)
    /// By its content, in a repository.
    case digest(ImageReference)
    /// By its whole id in the engine, which is of content, too.
    case id(String)

    /// - Parameter acceptsIDs: whether the command takes ids besides names.
    /// - Throws: ``DockerFrontError`` with code `reference`.
    init(_ text: String, acceptsIDs: Bool = false) throws {
        let hexadecimal = text.hasPrefix("sha256:") ? text.dropFirst("sha256:".count) : Substring(text)
        if acceptsIDs, hexadecimal.utf8.count == 64, (try? Digest("sha256:" + hexadecimal)) != nil {
            self = .id(text)
            return
        }
        let reference: ImageReference
        do {
            reference = try ImageReference(text)
        } catch {
            throw DockerFrontError(.reference, "invalid reference format: \(error)")
        }
        if reference.digest != nil {
            self = .digest(reference)
        } else {
            let last = text.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
            self = .tag(reference, isComplete: last.contains(":"))
        }
    }
}

extension ImageReference {
    /// The same repository by content alone, as the engine keeps what was pulled by digest.
    func byContent(_ digest: Digest) throws -> ImageReference {
        try ImageReference(registry: self.registry, repository: self.repository, digest: digest)
    }
}
