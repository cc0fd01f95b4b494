// SPDX-License-Identifier: Apache-2.0

import OCI

extension GuardedCommand {
    /// `docker pull`
    func pull() async throws -> DockerFront.Outcome {
        var arguments = try await self.scan(.pull)
        if Self.asksForHelp(arguments) { return self.unchanged }
        guard try self.isTrustOn(&arguments) else { return .handOver(self.command(arguments)) }
        let name = try self.onlyOperand(arguments)
        let argument = try ImageArgument(name)
        let (all, quiet) = (arguments.isSet("all-tags") ?? false, arguments.isSet("quiet") ?? false)
        guard case .tag(let reference, let isComplete) = argument else {
            guard !all else { throw Self.tagWithAll }
            try await self.check(content: argument)
            return .handOver(self.command(arguments))
        }
        guard !all || !isComplete else { throw Self.tagWithAll }
        if !all, !isComplete, !quiet { self.console.print("Using default tag: latest") }

        let trust = try self.openTrust()
        let targets: [SignedTag]
        if all {
            targets = try await trust.tags(of: reference)
            guard !targets.isEmpty else {
                throw DockerFrontError(.untrusted, "No trusted tags for \(reference.gun)")
            }
        } else {
            targets = [SignedTag(tag: reference.tag ?? .latest, digest: try await trust.digest(of: reference))]
        }
        for (index, target) in targets.enumerated() {
            let position = "\(index + 1) of \(targets.count)"
            self.console.print("Pull (\(position)): \(reference.familiarName):\(target.tag)@\(target.digest)")
            let status = try await self.pull(reference.byContent(target.digest), arguments)
            guard status == 0 else { return .ended(status) }
            try await self.tag(reference.byContent(target.digest), as: reference.with(tag: target.tag))
        }
        self.console.print(all ? reference.gun : reference.description)
        return .ended(0)
    }

    /// Has docker fetch an image by its digest.
    private func pull(_ trusted: ImageReference, _ arguments: ScannedArguments) async throws -> Int32 {
        var rest = arguments
        rest.remove("all-tags")
        rest.positionals = [trusted.familiarDescription]
        // Docker ends with a name; the one that was asked for follows later.
        return try await self.engine.run(
            self.line.globalArguments + ["pull"] + rest.arguments,
            output: .filtered(LineFilter(leavingOut: trusted.description)),
            input: nil
        )
    }

    static var tagWithAll: DockerFrontError {
        DockerFrontError(.reference, "tag can't be used with --all-tags/-a")
    }
}
