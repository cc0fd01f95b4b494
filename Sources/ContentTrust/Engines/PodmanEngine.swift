// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
package import OCI

/// podman's storage, through `podman` itself: it alone knows how its user's storage is set up.
package struct PodmanEngine: ImageEngine {
    private static let textLimit = 64 << 10

    package init() {}

    package var description: String { "podman" }

    package func platform() async throws -> Platform { .ofThisMachine }

    package func load(_ layout: String, _ image: Descriptor, names: [ImageReference]) async throws {
        // A directory it would call by its path, and of a pipe it makes such a file itself.
        let path = layout + ".tar"
        let id = try await BlockingWork.wait {
            let source = try ImageSource(path: layout, temporaryDirectory: layout)
            let archive = try ImageArchive(of: image, in: source, names: names)
            try archive.write(to: path)
            return archive.configDigest.encoded
        }
        try await self.run(["load", "--quiet", "--input", path])
        for name in names {
            guard let tag = name.tag else { continue }
            try await self.run(["tag", id, "\(name.gun):\(tag)"])
        }
    }

    package func save(_ names: [String], to path: String) async throws {
        // Of several images podman writes Docker's form only.
        let form = names.count > 1 ? ["docker-archive", "--multi-image-archive"] : ["oci-archive"]
        try await self.run(["save", "--quiet", "--format"] + form + ["--output", path] + names)
    }

    private func run(_ arguments: [String]) async throws {
        try await BlockingWork.wait {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["podman"] + arguments
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            let errors = Pipe()
            process.standardError = errors
            do {
                try process.run()
            } catch {
                throw ContentTrustError(.engine, "cannot run podman: \(error)")
            }
            var text = Data()
            while let piece = try errors.fileHandleForReading.read(upToCount: 4096), !piece.isEmpty {
                if text.count < Self.textLimit { text += piece }
            }
            process.waitUntilExit()
            guard process.terminationStatus != 127 else {
                throw ContentTrustError(.engine, "podman is not on PATH")
            }
            guard process.terminationStatus == 0 else {
                let reason = String(decoding: text, as: UTF8.self).split(separator: "\n").suffix(5)
                throw ContentTrustError(
                    .engine,
                    "podman \(arguments.first ?? "") failed: \(reason.joined(separator: "; ").prefix(1000))"
                )
            }
        }
    }
}
