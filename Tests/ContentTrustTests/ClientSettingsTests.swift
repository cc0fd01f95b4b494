// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import HTTPAccess
import NotaryAPI
import RegistryClient
import TUF
import Testing
import TrustClient

/// A directory of the test's own, removed with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        self.path = FileManager.default.temporaryDirectory.appending(path: "content-trust-\(UUID())").path
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }

    func file(_ name: String, _ text: String) throws -> String {
        let url = URL(fileURLWithPath: "\(self.path)/\(name)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
        return url.path
    }
}

@Suite("Client settings")
struct ClientSettingsTests {
    @Test("what is named counts before the environment, that before the file, that before Docker's places")
    func precedence() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file(
            "config.json",
            #"{"trust_dir": "/from/file", "remote_server": {"url": "https://file"}}"#
        )
        let environment = ["DOCKER_CONTENT_TRUST_SERVER": "https://environment", "DOCKER_CONFIG": "/docker"]
        let all = try ClientSettings(
            server: "https://option",
            trustDirectory: "/from/option",
            configurationFile: file,
            environment: environment
        )
        #expect(all.server == "https://option")
        #expect(all.trustDirectory == "/from/option")
        let second = try ClientSettings(configurationFile: file, environment: environment)
        #expect(second.server == "https://environment")
        #expect(second.trustDirectory == "/from/file")
        let third = try ClientSettings(configurationFile: file, environment: ["DOCKER_CONTENT_TRUST_SERVER": ""])
        #expect(third.server == "https://file")
        let docker = try ClientSettings(environment: environment)
        #expect(docker.trustDirectory == "/docker/trust")
        let none = try ClientSettings(environment: ["DOCKER_CONFIG": ""])
        #expect(none.server == nil)
        #expect(none.trustDirectory == ClientSettings.homeDirectory + "/.docker/trust")
        #expect(
            try ClientSettings(trustDirectory: "~/t", environment: [:]).trustDirectory == ClientSettings.homeDirectory
                + "/t"
        )
    }

    @Test("a trust server without TLS is refused", arguments: ["http://a", "a.example", "ftp://a", "HTTPS//a"])
    func httpsOnly(server: String) throws {
        func isRefused(_ make: () throws -> ClientSettings) -> Bool {
            do {
                _ = try make()
                return false
            } catch {
                return (error as? ContentTrustError)?.code == .configuration && "\(error)".contains(server)
            }
        }
        #expect(isRefused { try ClientSettings(server: server, environment: [:]) })
        #expect(isRefused { try ClientSettings(environment: ["DOCKER_CONTENT_TRUST_SERVER": server]) })
    }

    @Test(
        "a trust server that nobody names is Docker Hub's, or the registry's own host",
        arguments: [
            ("docker.io/library/alpine", "https://notary.docker.io"),
            ("registry.example:5000/team/app", "https://registry.example:5000"),
            ("alone", "https://alone"),
        ]
    )
    func derived(gun: String, url: String) throws {
        let settings = try ClientSettings(environment: ["DOCKER_CONFIG": "/nonexistent"])
        #expect(try settings.trustServer(for: try GUN(gun)).url == url)
        let named = try ClientSettings(server: "https://named/", environment: ["DOCKER_CONFIG": "/nonexistent"])
        #expect(try named.trustServer(for: try GUN(gun)).url == "https://named")
    }

    @Test("Docker's CA files of a server count, unless an authority is named")
    func authorities() throws {
        let directory = try TemporaryDirectory()
        let host = "trust.example:4443"
        let second = try directory.file("tls/\(host)/b.crt", "b")
        let first = try directory.file("tls/\(host)/a.crt", "a")
        _ = try directory.file("tls/\(host)/client.key", "k")
        _ = try directory.file("tls/other.example/c.crt", "c")
        let environment = ["DOCKER_CONFIG": directory.path, "DOCKER_CONTENT_TRUST_SERVER": "https://\(host)/path"]
        let gun = try GUN("registry.example/app")
        let docker = try ClientSettings(environment: environment).trustServer(for: gun)
        #expect(docker.authorityFiles == [first, second])
        let named = try ClientSettings(authorityFile: "/ca.pem", environment: environment).trustServer(for: gun)
        #expect(named.authorityFiles == ["/ca.pem"])
        let configuration = try directory.file(
            "notary/config.json",
            #"{"remote_server": {"root_ca": "ca.crt", "tls_client_cert": "c.crt", "tls_client_key": "c.key"}}"#
        )
        let notary = try ClientSettings(configurationFile: configuration, environment: environment).trustServer(
            for: gun
        )
        #expect(notary.authorityFiles == ["\(directory.path)/notary/ca.crt"])
        #expect(notary.certificateFile == "\(directory.path)/notary/c.crt")
        #expect(notary.privateKeyFile == "\(directory.path)/notary/c.key")
    }

    @Test("a registry's CA in Docker's directory must be a certificate")
    func registryAuthority() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("certs.d/registry.example/ca.crt", "no certificate")
        let settings = try ClientSettings(environment: ["DOCKER_CONFIG": directory.path])
        #expect { _ = try settings.registryConfiguration(for: "registry.example") } throws: {
            ($0 as? ContentTrustError)?.code == .configuration && "\($0)".contains(file)
        }
        #expect(try settings.registryConfiguration(for: "other.example").additionalTrustRoots.isEmpty)
    }

    @Test("NOTARY_AUTH is who asks, else what docker login keeps for the registry")
    func credentials() async throws {
        let directory = try TemporaryDirectory()
        let login = Base64.encode(Array("jane:docker".utf8))
        _ = try directory.file("config.json", #"{"auths": {"registry.example": {"auth": "\#(login)"}}}"#)
        let gun = try GUN("registry.example/app")
        let url = "https://trust.example"
        var environment = ["DOCKER_CONFIG": directory.path]
        let docker = try ClientSettings(environment: environment).credentials(for: gun)
        #expect(try await docker.credential(for: url) == .password(username: "jane", password: "docker"))
        let stranger = try ClientSettings(environment: environment).credentials(for: try GUN("other.example/app"))
        #expect(try await stranger.credential(for: url) == nil)
        environment["NOTARY_AUTH"] = Base64.encode(Array("joe:notary".utf8))
        let notary = try ClientSettings(environment: environment).credentials(for: gun)
        #expect(try await notary.credential(for: url) == .password(username: "joe", password: "notary"))
    }
}
