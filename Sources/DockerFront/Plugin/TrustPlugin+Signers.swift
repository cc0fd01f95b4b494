// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import OCI
import TUF

extension TrustPlugin {
    /// `docker trust signer add`
    func addSigner(_ name: String, keys files: [String], to names: [String], _ tools: Tools) async throws {
        guard Self.isName(name) else {
            throw TrustPluginFailure(
                "signer name \"\(name)\" must start with lowercase alphanumeric characters and can include \"-\" or \"_\" after the "
                    + "first character"
            )
        }
        guard name != "releases" else {
            throw TrustPluginFailure("releases is a reserved keyword, use a different signer name")
        }
        guard !files.isEmpty else {
            throw TrustPluginFailure("path to a public key must be provided using the `--key` flag")
        }
        let keys = try await self.publicKeys(files, tools)
        try await self.forEach(names, failing: "failed to add signer to") { repository in
            self.console.print("Adding signer \"\(name)\" to \(repository)...")
            let reference = try ImageArgument.repository(repository)
            do {
                let console = self.console
                try await tools.images.addSigner(name, keys: keys, to: reference) { _ in
                    console.print("Initializing signed repository for \(repository)...")
                    console.print("Successfully initialized \"\(repository)\"")
                }
            } catch {
                throw self.failure(error, nil, reference, tools)
            }
            self.console.print("Successfully added signer: \(name) to \(repository)\n")
        }
    }

    /// `docker trust signer remove`: as 20.10 did it; of later ones it does nothing.
    func removeSigner(_ name: String, from names: [String], isForced: Bool, _ tools: Tools) async throws {
        try await self.forEach(names, failing: "error removing signer from") { repository in
            self.console.print("Removing signer \"\(name)\" from \(repository)...")
            let reference = try ImageArgument.repository(repository)
            do {
                try await tools.images.removeSigner(name, from: reference, force: isForced)
            } catch let error as ContentTrustError where error.code == .lastSigner {
                let question =
                    "The signer \"\(name)\" signed the last released version of \(repository). Removing this signer will make "
                    + "\(repository) unpullable. Are you sure you want to continue?"
                guard await self.confirms(question) else { return self.console.print("\nAborting action.") }
                do {
                    try await tools.images.removeSigner(name, from: reference, force: true)
                } catch {
                    throw self.failure(error, nil, reference, tools)
                }
            } catch {
                throw self.failure(error, nil, reference, tools)
            }
            self.console.print("Successfully removed \(name) from \(repository)\n")
        }
    }

    private func publicKeys(_ files: [String], _ tools: Tools) async throws -> [PublicKey] {
        for file in files where !FileManager.default.fileExists(atPath: file) {
            throw TrustPluginFailure("unable to read public key from file: open \(file): no such file or directory")
        }
        do {
            return try await tools.images.signerKeys(files: files)
        } catch {
            throw TrustPluginFailure(
                "could not parse public key from file: \(files.joined(separator: ", ")): \(error)"
            )
        }
    }

    /// Does something to each of several repositories: what one refuses does not stop the others.
    private func forEach(
        _ names: [String],
        failing text: String,
        _ body: (String) async throws -> Void
    ) async throws {
        var failed: [String] = []
        for name in names {
            do {
                try await body(name)
            } catch let failure as TrustPluginFailure {
                self.console.report((failure.message ?? "") + "\n")
                failed.append(name)
            } catch let error as DockerFrontError {
                self.console.report("\(error)\n")
                failed.append(name)
            }
        }
        guard failed.isEmpty else { throw TrustPluginFailure("\(text): \(failed.joined(separator: ", "))") }
    }
}

extension ImageArgument {
    /// A repository, whatever tag or digest is named with it.
    static func repository(_ text: String) throws -> ImageReference {
        switch try ImageArgument(text) {
        case .tag(let reference, _), .digest(let reference): reference
        case .id: throw DockerFrontError(.reference, "\(text) is no name of a repository")
        }
    }
}
