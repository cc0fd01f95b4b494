// SPDX-License-Identifier: Apache-2.0

import OCI

extension RegistryClient {
    /// The image that suits a platform: of an index its entry, else the image itself.
    /// - Throws: ``RegistryError``; `OCIError` with code `imageUnknown` when no entry suits.
    func resolve(
        _ descriptor: Descriptor,
        of repository: RepositoryName,
        for platform: Platform
    ) async throws -> Descriptor {
        var descriptor = descriptor
        for _ in 0..<ImagePusher.maximumDepth where descriptor.mediaType.kind == .index {
            let fetched = try await self.getManifest(repository, .digest(descriptor.digest), size: descriptor.size)
            let manifest = try fetched.parse()
            guard let entry = manifest.entry(for: platform) else {
                throw OCIError(.imageUnknown, platform: platform, of: descriptor.digest, manifest)
            }
            descriptor = Descriptor(mediaType: entry.mediaType, digest: entry.digest, size: entry.size)
        }
        return descriptor
    }
}

extension OCIError {
    /// An index has nothing for a platform.
    init(_ code: Code, platform: Platform, of digest: Digest, _ manifest: Manifest) {
        let known = manifest.manifests.compactMap { $0.platform?.description }.joined(separator: ", ")
        self.init(code, "\(digest) has no image for \(platform); it has: \(known)")
    }
}
