// SPDX-License-Identifier: Apache-2.0

import OCI

extension GuardedCommand {
    /// `docker run` and `docker create`: of the image that is signed, whatever has the tag here or in the registry.
    func start() async throws -> DockerFront.Outcome {
        var arguments = try await self.scan(.run, stopsAtFirst: true)
        if Self.asksForHelp(arguments) { return self.unchanged }
        guard try self.isTrustOn(&arguments) else { return .handOver(self.command(arguments)) }
        let name = try self.firstOperand(arguments)
        try Self.refuseImageMounts(arguments)
        let argument = try ImageArgument(name, acceptsIDs: true)
        guard case .tag(let reference, _) = argument else {
            try await self.check(content: argument)
            return .handOver(self.command(arguments))
        }
        let trusted = try reference.byContent(try await self.openTrust().digest(of: reference))
        guard try await self.fetch(trusted, of: reference, arguments) else {
            return .ended(self.line.verb == .run ? 125 : 1)
        }
        arguments.positionals[0] = trusted.familiarDescription
        // It has just been pulled.
        for index in arguments.flags.indices where arguments.flags[index].name == "pull" {
            if arguments.flags[index].value == "always" { arguments.flags[index].value = "missing" }
        }
        return .handOver(self.command(arguments))
    }

    /// Sees that the engine has the image, as far as it may be pulled.
    /// - Returns: false when docker could not pull it, and has said so.
    private func fetch(
        _ trusted: ImageReference,
        of reference: ImageReference,
        _ arguments: ScannedArguments
    ) async throws -> Bool {
        let quiet = arguments.isSet("quiet") ?? false
        switch arguments.value("pull") ?? "missing" {
        case "always": break
        case "missing", "":
            if try await self.isPresent(trusted) { return true }
            if !quiet { self.console.report("Unable to find image '\(reference.familiarDescription)' locally") }
        default: return true
        }
        var pull = self.line.globalArguments + ["pull"]
        if quiet { pull.append("--quiet") }
        if let platform = arguments.value("platform") { pull.append("--platform=\(platform)") }
        pull.append(trusted.familiarDescription)
        // Standard output is for the container's id.
        guard try await self.engine.run(pull, output: .standardError, input: []) == 0 else { return false }
        try await self.tag(trusted, as: reference)
        return true
    }
}
