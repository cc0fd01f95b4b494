// SPDX-License-Identifier: Apache-2.0

import OCI

extension GuardedCommand {
    /// `docker push`: docker pushes, and what it says it has pushed is signed.
    func push() async throws -> DockerFront.Outcome {
        var arguments = try await self.scan(.push)
        if Self.asksForHelp(arguments) { return self.unchanged }
        guard try self.isTrustOn(&arguments) else { return .handOver(self.command(arguments)) }
        let name = try self.onlyOperand(arguments)
        let (all, quiet) = (arguments.isSet("all-tags") ?? false, arguments.isSet("quiet") ?? false)
        guard case .tag(let reference, let isComplete) = try ImageArgument(name) else {
            throw DockerFrontError(.reference, "cannot push a digest reference")
        }
        guard !all || !isComplete else { throw Self.tagWithAll }
        if all {
            let status = try await self.engine.run(self.command(arguments), output: .inherited, input: nil)
            if status == 0 { self.console.report("No tag specified, skipping trust metadata push") }
            return .ended(status)
        }
        if !isComplete, !quiet { self.console.print("Using default tag: latest") }

        let tag = reference.tag ?? .latest
        let pushed = PushedDigest(of: tag, isQuiet: quiet)
        // Docker tells what it pushed only when it is not quiet.
        arguments.remove("quiet")
        arguments.positionals = [reference.familiarDescription]
        let status = try await self.engine.run(self.command(arguments), output: .filtered(pushed), input: nil)
        guard status == 0 else {
            self.console.write(String(decoding: pushed.unseen, as: UTF8.self))
            return .ended(status)
        }
        guard let manifest = pushed.manifest else {
            throw DockerFrontError(.docker, "no targets found, provide a specific tag in order to sign it")
        }
        self.console.print("Signing and pushing trust metadata")
        let isNew = try await self.openTrust().sign(reference, digest: manifest.digest, size: manifest.size)
        if isNew { self.console.print("Finished initializing \"\(reference.gun)\"") }
        self.console.print("Successfully signed \(reference.description)")
        return .ended(0)
    }
}
