// SPDX-License-Identifier: Apache-2.0

import OCI

extension GuardedCommand {
    /// `docker service create`
    func createService() async throws -> DockerFront.Outcome {
        var arguments = try await self.scan(.unknown, stopsAtFirst: true)
        if Self.asksForHelp(arguments) { return self.unchanged }
        guard try self.isTrustOn(&arguments) else { return .handOver(self.command(arguments)) }
        let name = try self.firstOperand(arguments)
        try Self.refuseImageMounts(arguments)
        arguments.positionals[0] = try await self.pinned(name)
        return .handOver(self.command(arguments))
    }

    /// `docker service update`: the image is the value of a flag.
    func updateService() async throws -> DockerFront.Outcome {
        var arguments = try await self.scan(.unknown)
        if Self.asksForHelp(arguments) { return self.unchanged }
        guard try self.isTrustOn(&arguments) else { return .handOver(self.command(arguments)) }
        try Self.refuseImageMounts(arguments)
        for index in arguments.flags.indices where arguments.flags[index].name == "image" {
            guard let name = arguments.flags[index].value else { continue }
            arguments.flags[index].value = try await self.pinned(name)
        }
        return .handOver(self.command(arguments))
    }

    /// `docker plugin install`, `push` and `upgrade`.
    func plugin() async throws -> DockerFront.Outcome {
        var arguments = try await self.scan(.unknown)
        if Self.asksForHelp(arguments) { return self.unchanged }
        guard try self.isTrustOn(&arguments) else { return .handOver(self.command(arguments)) }
        throw DockerFrontError(
            .untrusted,
            "plugins of the engine are not checked or signed by hallmark: say --disable-content-trust if you trust this one"
        )
    }

    /// An image's name with the digest that is signed for its tag: every node of a swarm pulls by it.
    private func pinned(_ name: String) async throws -> String {
        let argument = try ImageArgument(name, acceptsIDs: true)
        guard case .tag(let reference, _) = argument else {
            try await self.check(content: argument)
            return name
        }
        return reference.with(digest: try await self.openTrust().digest(of: reference)).familiarDescription
    }
}
