// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import OCI
import RegistryClient
import TrustClient

/// Where images are, besides registries: by path, or with a transport before it, as skopeo names them.
enum ImagePlace: Sendable, Hashable {
    /// A file or directory.
    case file(String, ImageFormat)
    /// An engine, and what an image is called there; empty for what it is called elsewhere.
    case engine(EngineName, name: String)

    /// - Parameter format: what was said besides; else the transport or the path's end tells.
    init(_ text: String, format: ImageFormat? = nil) {
        for engine in EngineName.allCases where text.hasPrefix(engine.transport) {
            self = .engine(engine, name: String(text.dropFirst(engine.transport.count)))
            return
        }
        for known in ImageFormat.allCases where text.hasPrefix(known.rawValue + ":") {
            self = .file(String(text.dropFirst(known.rawValue.count + 1)).expandingTilde, format ?? known)
            return
        }
        let path = text.expandingTilde
        self = .file(path, format ?? (path.hasSuffix(".tar") ? .ociArchive : .oci))
    }
}

/// A program that keeps images.
enum EngineName: String, ExpressibleByArgument, CaseIterable, Sendable {
    case docker
    case podman

    /// How skopeo names its storage.
    var transport: String {
        switch self {
        case .docker: "docker-daemon:"
        case .podman: "containers-storage:"
        }
    }

    private var temporaryDirectory: String { FileManager.default.temporaryDirectory.path }

    /// Pulls into it.
    func pull(
        _ images: TrustedImages,
        _ reference: ImageReference,
        _ platform: Platform?,
        _ name: ImageReference?,
        _ progress: @escaping TransferProgress
    ) async throws -> (trusted: TrustedImage, pulled: Descriptor, names: [ImageReference]) {
        switch self {
        case .docker:
            try await images.pull(
                reference,
                platform: platform,
                into: try DockerEngine(),
                as: name,
                temporaryDirectory: self.temporaryDirectory,
                progress: progress
            )
        case .podman:
            try await images.pull(
                reference,
                platform: platform,
                into: PodmanEngine(),
                as: name,
                temporaryDirectory: self.temporaryDirectory,
                progress: progress
            )
        }
    }

    /// Writes an image of it, or all of a repository, to a file.
    func save(_ name: String, to path: String) async throws {
        switch self {
        case .docker: try await DockerEngine().save([name], to: path)
        case .podman: try await PodmanEngine().save([name], to: path)
        }
    }
}
