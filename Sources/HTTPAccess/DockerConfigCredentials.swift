// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOPosix

/// The credentials that `docker login` keeps: `auths`, `credHelpers` and `credsStore` of Docker's `config.json`.
package struct DockerConfigCredentials: CredentialSource {
    /// The largest configuration file that is read, in bytes.
    private static let maximumSize = 4 << 20

    private let path: String
    private let helperTimeout: Duration

    /// Names the configuration; it is read each time it is asked, and none is as good as an empty one.
    /// - Parameters:
    ///   - path: usually `~/.docker/config.json`.
    ///   - helperTimeout: how long a `docker-credential-…` program may take.
    package init(path: String, helperTimeout: Duration = .seconds(30)) {
        self.path = path
        self.helperTimeout = helperTimeout
    }

    package func credential(for host: String) async throws -> Credential? {
        let (path, timeout) = (self.path, self.helperTimeout)
        return try await NIOThreadPool.singleton.runIfActive {
            guard let file = try Self.load(path) else { return nil }
            let server = Self.serverAddress(host)
            if let helper = try file.helper(host, server) {
                return try CredentialHelper(name: helper, timeout: timeout).get(server)
            }
            return try file.entry(host).flatMap { try Self.credential($0, host) }
        }
    }

    /// The key that Docker uses for a registry.
    private static func serverAddress(_ registry: String) -> String {
        registry == "docker.io" ? "https://index.docker.io/v1/" : registry
    }

    private static func load(_ path: String) throws -> File? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        guard data.count <= Self.maximumSize, let file = try? JSONDecoder().decode(File.self, from: data) else {
            throw HTTPAccessError(.credentials, "\(path) is not a Docker configuration in JSON; repair or remove it")
        }
        return file
    }

    private static func credential(_ entry: File.Entry, _ registry: String) throws -> Credential? {
        if let token = entry.identitytoken, !token.isEmpty { return .identityToken(token) }
        if let token = entry.registrytoken, !token.isEmpty { return .bearerToken(token) }
        if let username = entry.username, let password = entry.password, !username.isEmpty {
            return .password(username: username, password: password)
        }
        guard let auth = entry.auth, !auth.isEmpty else { return nil }
        guard let data = Data(base64Encoded: auth), let text = String(validating: data, as: UTF8.self),
            let colon = text.firstIndex(of: ":")
        else {
            throw HTTPAccessError(
                .credentials,
                "the auth of \(registry) in Docker's configuration is not base64 of user:password; run docker login again"
            )
        }
        // Docker strips the NULs that old versions padded with.
        let password = text[text.index(after: colon)...].filter { $0 != "\u{0}" }
        return .password(username: String(text[..<colon]), password: password)
    }

    private struct File: Decodable {
        struct Entry: Decodable {
            let auth: String?
            let username: String?
            let password: String?
            let identitytoken: String?
            let registrytoken: String?
        }

        let auths: [String: Entry]?
        let credHelpers: [String: String]?
        let credsStore: String?

        func helper(_ registry: String, _ server: String) throws -> String? {
            if let helper = self.credHelpers?[registry] ?? self.credHelpers?[server] { return helper }
            return self.credsStore.flatMap { $0.isEmpty ? nil : $0 }
        }

        func entry(_ registry: String) -> Entry? {
            let names = registry == "docker.io" ? ["index.docker.io", "docker.io", "registry-1.docker.io"] : [registry]
            guard let auths = self.auths else { return nil }
            for name in names {
                if let entry = auths[name] { return entry }
                let match = auths.keys.sorted().first { Self.host($0) == name }
                if let match, let entry = auths[match] { return entry }
            }
            return nil
        }

        /// The host of a key, which old versions wrote as a URL.
        private static func host(_ key: String) -> Substring {
            var rest = Substring(key)
            for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
            return rest.prefix { $0 != "/" }
        }
    }
}
