// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import HTTPAccess
import KeyStore
import OCI
import TUF
import TrustClient

extension TrustPlugin {
    /// `docker trust sign`
    func sign(_ name: String, isLocal: Bool, _ tools: Tools) async throws {
        let reference: ImageReference
        switch try ImageArgument(name) {
        case .tag(let named, isComplete: true): reference = named
        case .tag: throw TrustPluginFailure("no tag specified for \(name)")
        case .digest, .id: throw TrustPluginFailure("cannot use a digest reference for IMAGE:TAG")
        }
        let repository = try await self.initialized(reference, name, tools)
        let row = repository.flatMap { repository in
            TrustInspection(name, repository, tag: reference.tag?.description).rows.first
        }
        guard let row, !isLocal else { return try await self.pushAndSign(reference, name, tools) }

        self.console.print("Signing and pushing trust metadata for \(name)")
        self.console.print("Existing signatures for tag \(row.tag) digest \(row.digest) from:")
        self.console.print(row.signers.sorted().joined(separator: ", "))
        do {
            var options = TrustedImages.SigningOptions()
            options.keepsSignedDigests = true
            try await tools.images.sign([reference], options)
        } catch {
            throw self.failure(error, "failed to sign \(reference.description)", reference, tools)
        }
        self.console.print("Successfully signed \(reference.description)")
    }

    /// What is signed of a repository; one that does not exist is made, its user the signer.
    /// - Returns: nil for one that was made.
    private func initialized(
        _ reference: ImageReference,
        _ name: String,
        _ tools: Tools
    ) async throws -> TrustedRepository? {
        do {
            return try await tools.images.inspect(reference)
        } catch let error as TrustClientError where error.code == .noTrustData {
            try await self.requireLocal(name, tools)
        } catch {
            throw self.failure(error, nil, reference, tools)
        }
        let credential = try await tools.settings.registryCredentials.credential(for: reference.registry)
        guard case .password(let user, _) = credential, !user.isEmpty else {
            throw TrustPluginFailure(
                "no user name is known for \(reference.registry), and the first signer is called by it: docker login first"
            )
        }
        do {
            let key = try await self.signerKey(user, tools)
            try await tools.images.addSigner(user, keys: [key], to: reference)
        } catch {
            throw self.failure(error, "could not add signer to repo: \(user)", reference, tools)
        }
        self.console.print("Created signer: \(user)")
        self.console.print("Finished initializing signed repository for \(name)")
        return nil
    }

    /// The public half of a signer's key that is here, the first by its id; else of a new one.
    private func signerKey(_ name: String, _ tools: Tools) async throws -> PublicKey {
        let store = try await tools.settings.keyStore()
        let role = RoleName(name)
        guard let known = try await store.list().first(where: { $0.role == role }) else {
            return try await self.makeKey(name, tools)
        }
        return try await store.key(known.id, passphrases: tools.passphrases).publicKey
    }

    /// Sees that the engine has the image; docker itself says so where it has not.
    private func requireLocal(_ name: String, _ tools: Tools) async throws {
        let arguments = tools.globalArguments + ["image", "inspect", "--format", "{{.Id}}", name]
        let capture = Capture(limit: 1 << 10)
        let status = try await self.engine().run(arguments, output: .filtered(capture), input: [])
        guard status == 0 else { throw TrustPluginFailure(nil) }
    }

    /// Has docker push the image, and signs what it says it has pushed.
    private func pushAndSign(_ reference: ImageReference, _ name: String, _ tools: Tools) async throws {
        try await self.requireLocal(name, tools)
        self.console.report(
            "Signing and pushing trust data for local image \(name), may overwrite remote trust data"
        )
        let pushed = PushedDigest(of: reference.tag ?? .latest, isQuiet: false)
        let arguments = tools.globalArguments + ["push", reference.familiarDescription]
        let status = try await self.engine().run(arguments, output: .filtered(pushed), input: nil)
        guard status == 0 else { throw TrustPluginFailure(status: status, nil) }
        guard let manifest = pushed.manifest else {
            throw TrustPluginFailure("no targets found, provide a specific tag in order to sign it")
        }
        self.console.print("Signing and pushing trust metadata")
        do {
            let target = try ImageTarget(reference, digest: manifest.digest, size: manifest.size)
            try await tools.images.sign([target])
        } catch {
            throw self.failure(error, "failed to sign \(reference.description)", reference, tools)
        }
        self.console.print("Successfully signed \(reference.description)")
    }

    /// `docker trust revoke`
    func revoke(_ name: String, isConfirmed: Bool, _ tools: Tools) async throws {
        guard case .tag(let reference, let isComplete) = try ImageArgument(name) else {
            throw TrustPluginFailure("cannot use a digest reference for IMAGE:TAG")
        }
        if !isComplete, !isConfirmed {
            let question = "Confirm you would like to delete all signature data for \(name)?"
            guard await self.confirms(question) else { throw TrustPluginFailure("trust revoke has been cancelled") }
        }
        do {
            let revocation = try await tools.images.revoke(reference, tag: isComplete ? reference.tag : nil)
            for tag in revocation.stillReleased {
                self.console.report(
                    "WARNING: \(tag.name) still counts: \(tag.otherRoles.map(\.text).joined(separator: ", ")) has it, whose key is "
                        + "not here"
                )
            }
        } catch {
            throw self.failure(error, "could not remove signature for \(name)", reference, tools)
        }
        self.console.print("Successfully deleted signature for \(name)")
    }

    /// Asks; only `y` is yes.
    func confirms(_ question: String) async -> Bool {
        self.console.write(question + " [y/N] ")
        let answer = await self.readLine() ?? ""
        return answer.split(separator: " ").joined().lowercased() == "y"
    }

    /// An error in docker's words, behind what was tried.
    func failure(
        _ error: any Error,
        _ context: String?,
        _ reference: ImageReference,
        _ tools: Tools
    ) -> TrustPluginFailure {
        if let failure = error as? TrustPluginFailure { return failure }
        let text = TrustFailure.error(
            error,
            gun: reference.gun,
            host: TrustServerName.host(ofCollection: reference.gun, tools.settings),
            tag: reference.tag?.description
        )
        return TrustPluginFailure([context, text.message].compactMap { $0 }.joined(separator: ": "))
    }
}
