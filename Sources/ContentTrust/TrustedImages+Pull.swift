// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
package import OCI
package import RegistryClient

extension TrustedImages {
    /// Where a pulled image goes.
    package struct Destination: Sendable {
        /// A directory or file.
        package let path: String
        /// How it is laid out.
        package let format: ImageSource.Format

        package init(path: String, format: ImageSource.Format) {
            self.path = path
            self.format = format
        }
    }

    /// Pulls what a tag means: looks the digest up in signed metadata, then fetches content by that digest alone. Nothing is to be
    /// seen at the destination unless all of it is what was signed.
    /// - Parameter platform: of an index, only the image that suits this; nil for all.
    /// - Returns: what was trusted, and the descriptor of what the destination names.
    /// - Throws: `TrustClientError`, `RegistryError`, `OCIError`, ``ContentTrustError``.
    package func pull(
        _ reference: ImageReference,
        platform: Platform? = nil,
        into destination: Destination,
        progress: @escaping TransferProgress = { _ in }
    ) async throws -> (trusted: TrustedImage, pulled: Descriptor) {
        let trusted = try await self.resolve(reference)
        let existed = FileManager.default.fileExists(atPath: destination.path)
        do {
            let pulled = try await self.fetch(
                reference,
                trusted.digest,
                size: trusted.size,
                platform: platform,
                names: [reference],
                progress: progress
            ) { try ImageDestination(path: destination.path, format: destination.format) }
            return (trusted, pulled)
        } catch {
            // Verified blobs of an image that was never completed are of no use in a directory that was made for it.
            if !existed { TemporaryFolder.remove(destination.path) }
            throw error
        }
    }

    /// Pulls what a tag means into an engine: everything is fetched and verified on this machine first, and then handed over.
    /// - Parameters:
    ///   - platform: of an index, the image that suits this; nil for the engine's machine.
    ///   - name: what the engine is to call it; nil for the tag that was asked for, or with a digest the tags that mean it.
    ///   - temporaryDirectory: where it is kept meanwhile, in a directory of its own.
    /// - Throws: as ``pull(_:platform:into:progress:)``; ``ContentTrustError`` with code `engine` or `engineUnreachable`.
    package func pull(
        _ reference: ImageReference,
        platform: Platform? = nil,
        into engine: some ImageEngine,
        as name: ImageReference? = nil,
        temporaryDirectory: String,
        progress: @escaping TransferProgress = { _ in }
    ) async throws -> (trusted: TrustedImage, pulled: Descriptor, names: [ImageReference]) {
        // Before anything is fetched: an engine that is not there takes nothing.
        let native = try await engine.platform()
        let trusted = try await self.resolve(reference)
        let names = name.map { [$0] } ?? trusted.tags.map { reference.with(tag: $0) }
        let directory = try TemporaryFolder(in: temporaryDirectory)
        defer { directory.remove() }
        let layout = directory.path + "/image"
        let pulled = try await self.fetch(
            reference,
            trusted.digest,
            size: trusted.size,
            platform: platform ?? native,
            names: [],
            progress: progress
        ) { try ImageDestination(path: layout, format: .ociLayout) }
        try await engine.load(layout, pulled, names: names)
        return (trusted, pulled, names)
    }

    /// Fetches content by digest: from the mirrors that the settings name, and where they do not have it, or something else instead,
    /// from the image's own place.
    /// - Parameter names: what the destination is to call it.
    func fetch(
        _ reference: ImageReference,
        _ digest: Digest,
        size: Int64?,
        platform: Platform? = nil,
        names: [ImageReference],
        progress: @escaping TransferProgress,
        into destination: @Sendable () throws -> ImageDestination
    ) async throws -> Descriptor {
        var places = self.settings.places(of: reference)[...]
        while let place = places.popFirst() {
            do {
                return try await self.withRegistry(named: place.registry) { registry in
                    try await ImagePuller(client: registry, progress: progress).pull(
                        digest,
                        size: size,
                        from: place.repository,
                        platform: platform,
                        into: try destination(),
                        names: names
                    )
                }
            } catch  where !places.isEmpty && Self.isFault(of: error) {
                self.logger.warning(
                    "a mirror does not help, asking the next",
                    metadata: [
                        "mirror": "\(place)", "reason": "\(error)",
                    ]
                )
            }
        }
        throw ContentTrustError(.configuration, "\(reference.familiarDescription) has no place to be fetched from")
    }

    /// Whether another place may do better.
    private static func isFault(of error: any Error) -> Bool {
        if let error = error as? OCIError { return error.code == .digestMismatch || error.code == .manifestInvalid }
        return error is RegistryError
    }
}
