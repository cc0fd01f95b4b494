// SPDX-License-Identifier: Apache-2.0

import ContentTrust

/// What `hallmark serve` tells whoever started it.
struct ServeGuide {
    let server: EmbeddedServer

    /// The line that says it accepts connections, for programs.
    var ready: String {
        let addresses = [
            ("registry", self.server.registryURL), ("server", self.server.trustServerURL),
            ("signer", self.server.signerAddress), ("operations", self.server.operationsURL),
        ]
        let known = addresses.compactMap { name, address in address.map { "\(name)=\($0)" } }
        return (["ready"] + known).joined(separator: " ")
    }

    /// For people: how to use it.
    var text: String {
        let names = [
            self.server.registryURL.map { "registry \($0)" }, self.server.trustServerURL.map { "trust server \($0)" },
            self.server.signerAddress.map { "signer \($0)" },
        ]
        var lines = ["Hallmark \(HallmarkVersion.current): \(names.compactMap(\.self).joined(separator: ", "))"]
        if let directory = self.server.directory { lines.append("Data in \(directory)") }
        lines.append("")
        lines += self.trustServer + self.registry
        return lines.joined(separator: "\n")
    }

    private var trustServer: [String] {
        // Docker talks to no other.
        guard let trustServer = self.server.trustServerURL, trustServer.hasPrefix("https://") else { return [] }
        let host = String(trustServer.dropFirst("https://".count))
        var lines = [
            "To use it with Docker (28 or older), paste:",
            "",
            "  export DOCKER_CONTENT_TRUST=1",
            "  export DOCKER_CONTENT_TRUST_SERVER=\(trustServer)",
            "",
        ]
        if let authority = self.server.authorityPath {
            lines += [
                "and, once, let its clients know the CA of the trust server:",
                "",
                "  install -D \(authority.shellQuoted) ~/.docker/tls/\(host.shellQuoted)/ca.crt",
                "",
            ]
        }
        return lines
    }

    private var registry: [String] {
        guard let url = self.server.registryURL else { return [] }
        let registry = String(url.drop { $0 != ":" }.dropFirst(3))
        var lines: [String] = []
        if let authority = self.server.authorityPath, url.hasPrefix("https://") {
            lines += [
                "and, on each machine with an engine, podman or skopeo, that of the registry:",
                "",
                "  install -D \(authority.shellQuoted) /etc/docker/certs.d/\(registry.shellQuoted)/ca.crt",
                "",
            ]
        }
        let login = self.server.asksForLogin ? "docker login \(registry), " : ""
        return lines + ["Then: \(login)docker push \(registry)/name:tag, docker pull \(registry)/name:tag", ""]
    }
}
