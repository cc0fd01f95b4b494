// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import NotaryAPI
import OCI
import RegistryClient
import TUF
import Testing
import TrustClient

@Suite("The client's own settings")
struct ClientConfigurationTests {
    private static let one = String(repeating: "1", count: 64)
    private static let two = String(repeating: "2", count: 64)

    private func settings(
        user: String = "",
        machine: String? = nil,
        server: String? = nil,
        environment: [String: String] = [:]
    ) throws -> (ClientSettings, TemporaryDirectory) {
        let directory = try TemporaryDirectory()
        _ = try directory.file("user/hallmark/client.yaml", user)
        if let machine { _ = try directory.file("machine/client.yaml", machine) }
        let variables = ["DOCKER_CONFIG": "/nonexistent", "XDG_CONFIG_HOME": "\(directory.path)/user"]
        let settings = try ClientSettings(
            server: server,
            environment: variables.merging(environment) { _, new in new },
            machineDirectory: "\(directory.path)/machine"
        )
        return (settings, directory)
    }

    @Test("each collection has the server of its name, else of the longest prefix; what is named counts before")
    func servers() throws {
        let text = """
            servers:
              docker.io/acme/*: https://acme.example:4443
              docker.io/acme/app:
                url: https://app.example
                ca: app.crt
                certificate: app-client.crt
                key: /keys/app.pem
              docker.io/*:
                url: https://hub.example
            """
        let (settings, directory) = try self.settings(user: text)
        let app = try settings.trustServer(for: try GUN("docker.io/acme/app"))
        #expect(app.url == "https://app.example")
        #expect(app.authorityFiles == ["\(directory.path)/user/hallmark/app.crt"])
        #expect(app.certificateFile == "\(directory.path)/user/hallmark/app-client.crt")
        #expect(app.privateKeyFile == "/keys/app.pem")
        #expect(try settings.trustServer(for: try GUN("docker.io/acme/other")).url == "https://acme.example:4443")
        #expect(try settings.trustServer(for: try GUN("docker.io/library/alpine")).url == "https://hub.example")
        #expect(try settings.trustServer(for: try GUN("other.example/a")).url == "https://other.example")
        // A name in other letters is another name.
        #expect(try settings.trustServer(for: try GUN("docker.io/ACME/app")).url == "https://hub.example")
        #expect(settings.serverRule(for: try GUN("docker.io/acme/app"))?.origin.hasSuffix("client.yaml:3") == true)
        let (named, _) = try self.settings(user: text, server: "https://named.example")
        #expect(try named.trustServer(for: try GUN("docker.io/acme/app")).url == "https://named.example")
    }

    @Test("pins of the machine and of the user must both be met, and refusing first use cannot be taken back")
    func binding() throws {
        let gun = try GUN("docker.io/acme/app")
        let (settings, _) = try self.settings(
            user: "first_use: allowed\npins: {docker.io/acme/app: [\(Self.two)]}\nmax_age: 20d\n",
            machine: "first_use: refused\npins:\n  docker.io/*: \(Self.one)\nmax_age: 14d\n"
        )
        let pins = try settings.rootPins(for: gun, at: Date())
        #expect(Set(pins.map(\.anchor)) == [.keyIDs([KeyID(Self.one)]), .keyIDs([KeyID(Self.two)])])
        let isBinding = pins.allSatisfy(\.isBinding)
        #expect(isBinding)
        #expect(settings.refusesFirstUse(at: Date())?.contains("machine/client.yaml:1") == true)
        #expect(settings.anchor(for: try GUN("other.example/a")) == .knownOnly)
        #expect(settings.maximumAge == Int64(1_209_600))
    }

    @Test("servers, mirrors and names of a locked machine cannot be replaced, not even by an option")
    func locked() throws {
        let user = """
            servers: {docker.io/*: https://user.example}
            mirrors: {docker.io/*: user.example}
            """
        let machine = """
            servers: {docker.io/*: https://machine.example}
            mirrors: {docker.io/*: machine.example}
            """
        let gun = try GUN("docker.io/library/alpine")
        let reference = try ImageReference("alpine")
        let (open, _) = try self.settings(user: user, machine: machine)
        #expect(try open.trustServer(for: gun).url == "https://user.example")
        #expect(open.mirrors(for: reference).map(\.registry) == ["user.example"])
        let (locked, _) = try self.settings(
            user: user,
            machine: machine + "\nlocked: true\n",
            environment: ["DOCKER_CONTENT_TRUST_SERVER": "https://named.example"]
        )
        #expect(try locked.trustServer(for: gun).url == "https://machine.example")
        #expect(locked.mirrors(for: reference).map(\.registry) == ["machine.example"])
        // Who has just named a server must not change another one unawares.
        let (other, _) = try self.settings(machine: machine + "\nlocked: true\n", server: "https://named.example")
        #expect(throws: ContentTrustError.self) { _ = try other.trustServer(for: gun) }
        let (same, _) = try self.settings(machine: machine + "\nlocked: true\n", server: "https://machine.example/")
        #expect(try same.trustServer(for: gun).url == "https://machine.example")
    }

    @Test(
        "a name that the machine binds has no other's trust, but by the machine's own word",
        arguments: [
            ("pins: {docker.io/acme/*: \(Self.one)}", true), ("locked: true", true),
            ("pins: {docker.io/other/*: \(Self.one)}", false), ("max_age: 1d", false),
        ]
    )
    func boundName(machine: String, isBound: Bool) throws {
        let alias = "aliases: {acme/app: {content: evil.example/a, gun: evil.example/a}}\n"
        let reference = try ImageReference("acme/app:1")
        let (settings, _) = try self.settings(user: alias, machine: machine)
        if isBound {
            #expect(throws: ContentTrustError.self) { _ = try settings.gun(for: reference) }
        } else {
            #expect(try settings.gun(for: reference).text == "evil.example/a")
        }
        let (own, _) = try self.settings(machine: "\(alias)\(machine)")
        #expect(try own.gun(for: reference).text == "evil.example/a")
        // Other content by the same trust harms nobody.
        let (content, _) = try self.settings(user: "aliases: {acme/app: evil.example/a}", machine: machine)
        #expect(try content.gun(for: reference).text == "docker.io/acme/app")
    }

    @Test("a user's file that leads nowhere ends it, since it may hold pins")
    func danglingLink() throws {
        let directory = try TemporaryDirectory()
        _ = try directory.file("user/hallmark/other", "")
        try FileManager.default.createSymbolicLink(
            atPath: "\(directory.path)/user/hallmark/client.yaml",
            withDestinationPath: "/nonexistent/client.yaml"
        )
        #expect(throws: ContentTrustError.self) {
            try ClientSettings(
                environment: ["XDG_CONFIG_HOME": "\(directory.path)/user"],
                machineDirectory: "\(directory.path)/machine"
            )
        }
    }

    @Test("another name brings other content, and the trust of the name that was typed unless it says otherwise")
    func aliases() throws {
        let (settings, _) = try self.settings(
            user: """
                aliases:
                  alpine: mirror.example/library/alpine
                  app: {content: registry.example/team/app, gun: registry.example/team/app}
                mirrors:
                  docker.io/*: [cache.example:5000/hub, second.example]
                registries:
                  cache.example:5000: {plain_http: true}
                """
        )
        let alpine = try ImageReference("alpine:3")
        #expect(try settings.gun(for: alpine).text == "docker.io/library/alpine")
        #expect(
            settings.places(of: alpine).map(\.description) == [
                "cache.example:5000/hub/library/alpine", "second.example/library/alpine",
                "mirror.example/library/alpine",
            ]
        )
        #expect(try settings.gun(for: try ImageReference("app")).text == "registry.example/team/app")
        #expect(try settings.registryConfiguration(for: "cache.example:5000").scheme == .http)
        #expect(try settings.registryConfiguration(for: "second.example").scheme == .automatic)
    }

    @Test("proxies of the settings count where the environment names none")
    func proxies() throws {
        let user = "proxy: {https: 'http://proxy:3128', exempt: [a.example, b.example]}\n"
        let (settings, _) = try self.settings(user: user)
        #expect(settings.proxyVariables["https_proxy"] == "http://proxy:3128")
        #expect(settings.proxyVariables["no_proxy"] == "a.example,b.example")
        let (named, _) = try self.settings(user: user, environment: ["HTTPS_PROXY": "http://other"])
        #expect(named.proxyVariables["https_proxy"] == nil)
    }

    @Test("a variable names another file, Notary's as well, or none")
    func variable() throws {
        let directory = try TemporaryDirectory()
        let notary = try directory.file("n.json", #"{"trust_pinning": {"disable_tofu": true}}"#)
        let own = try directory.file("own.yaml", "first_use: refused")
        let (first, _) = try self.settings(user: "max_age: 1d", environment: ["HALLMARK_CLIENT_CONFIG": notary])
        #expect(first.refusesFirstUse(at: Date()) == "trust_pinning.disable_tofu")
        #expect(first.maximumAge == nil)
        let (second, _) = try self.settings(environment: ["HALLMARK_CLIENT_CONFIG": own])
        #expect(second.refusesFirstUse(at: Date()) == "\(own):1")
        let (none, _) = try self.settings(
            user: "first_use: refused",
            environment: ["HALLMARK_CLIENT_CONFIG": "/dev/null"]
        )
        #expect(none.refusesFirstUse(at: Date()) == nil)
    }

    @Test(
        "what is not understood is refused with its line",
        arguments: [
            ("servers:\n  a/*: {url: 'https://a', caa: x}\n", 2), ("max_age: 1d\nserver: x\n", 2),
            ("servers:\n  a/*: http://plain\n", 2), ("servers:\n  'a*b': https://x\n", 2),
            ("first_use: maybe\n", 1), ("max_age: 3\n", 1), ("max_age: -1d\n", 1), ("pins:\n  a/b:\n    - 12\n", 3),
            ("pins:\n  a/b: {keys: [x], ca: x}\n", 2), ("pins:\n  a/b: []\n", 2), ("locked: yes\n", 1),
            ("registries:\n  'https://x': {plain_http: true}\n", 2), ("mirrors:\n  a/*: 'https://x'\n", 2),
            ("aliases:\n  alpine: mirror.example/Alpine\n", 2), ("aliases:\n  alpine: alpine\n", 2),
            ("pin_bundles: {keys: [a], threshold: 2}\n", 1), ("pin_bundles: {files: [a]}\n", 1), ("- a\n", 1),
            ("first_use: refused\nfirst_use: allowed\n", 1), ("proxy: {ftp: x}\n", 1), ("trust_dir:\n", 1),
        ]
    )
    func refusals(text: String, line: Int) throws {
        #expect { _ = try self.settings(user: text) } throws: { error in
            (error as? ContentTrustError)?.code == .configuration
                && "\(error)".contains("client.yaml:\(line): ")
        }
        #expect(throws: ContentTrustError.self) { _ = try self.settings(machine: text) }
    }

    @Test("a machine's file that cannot be read ends it, since it may forbid something")
    func unreadable() throws {
        let directory = try TemporaryDirectory()
        _ = try directory.file("machine/client.yaml/file", "")
        #expect(throws: ContentTrustError.self) {
            try ClientSettings(environment: [:], machineDirectory: "\(directory.path)/machine")
        }
    }
}
