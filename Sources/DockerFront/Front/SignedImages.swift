// SPDX-License-Identifier: Apache-2.0

package import ContentTrust
package import OCI
import TUF
import TrustClient

/// What is signed according to trust servers, told in docker's words.
package struct SignedImages: ImageTrust {
    private let images: TrustedImages
    private let host: @Sendable (String) -> String
    private let warn: @Sendable (String) -> Void

    /// - Parameters:
    ///   - images: reads and signs.
    ///   - settings: where trust servers are.
    ///   - warn: told what did not stop anything.
    package init(_ images: TrustedImages, settings: ClientSettings, warn: @escaping @Sendable (String) -> Void) {
        self.images = images
        self.host = { TrustServerName.host(ofCollection: $0, settings) }
        self.warn = warn
    }

    package func digest(of reference: ImageReference) async throws -> Digest {
        do {
            let image = try await self.images.resolve(reference)
            self.report(image.warnings)
            return image.digest
        } catch {
            throw TrustFailure.error(
                error,
                gun: reference.gun,
                host: self.host(reference.gun),
                tag: reference.tag?.description
            )
        }
    }

    package func tags(of repository: ImageReference) async throws -> [SignedTag] {
        do {
            let signed = try await self.images.inspect(repository)
            self.report(signed.warnings)
            return signed.tags.compactMap { tag in
                guard let name = try? Tag(tag.name), let digest = tag.digest else {
                    self.warn("Skipping target for \"\(repository.familiarName)\"")
                    return nil
                }
                return SignedTag(tag: name, digest: digest)
            }
        } catch {
            throw TrustFailure.error(error, gun: repository.gun, host: self.host(repository.gun))
        }
    }

    package func sign(_ reference: ImageReference, digest: Digest, size: Int64) async throws -> Bool {
        do {
            let target = try ImageTarget(reference, digest: digest, size: size)
            let signed = try await self.images.sign([target])
            return signed.contains { !$0.newRootKeyIDs.isEmpty }
        } catch {
            let failure = TrustFailure.error(error, gun: reference.gun, host: self.host(reference.gun))
            throw DockerFrontError(.untrusted, "failed to sign \(reference.description): \(failure.message)")
        }
    }

    private func report(_ warnings: [CollectionWarning]) {
        for warning in warnings { self.warn("WARNING: \(TerminalText.line(warning.description))") }
    }
}

/// The name of a trust server in messages.
enum TrustServerName {
    /// Host and port of the server of a collection.
    static func host(ofCollection gun: String, _ settings: ClientSettings) -> String {
        let url = settings.server ?? (gun.hasPrefix("docker.io/") ? "https://notary.docker.io" : "https://" + gun)
        return String(url.dropFirst("https://".count).prefix { $0 != "/" })
    }
}
