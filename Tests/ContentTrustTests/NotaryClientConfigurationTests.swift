// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import TUF
import Testing

@Suite("The configuration of the notary client")
struct NotaryClientConfigurationTests {
    private func read(_ text: String) throws -> NotaryClientConfiguration {
        let directory = try TemporaryDirectory()
        return try NotaryClientConfiguration(path: try directory.file("config.json", text))
    }

    @Test("paths of certificates are relative to the file, absolute ones stay, trust_dir is as it stands")
    func paths() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file(
            "sub/config.json",
            """
            {"trust_dir": "relative/trust", "remote_server": {"url": "https://n", "root_ca": "../ca.crt",
             "tls_client_cert": "/absolute/c.crt", "tls_client_key": "", "skipTLSVerify": false}, "logging": {"level": "x"}}
            """
        )
        let configuration = try NotaryClientConfiguration(path: file)
        #expect(configuration.trustDirectory == "relative/trust")
        #expect(configuration.serverURL == "https://n")
        let authority = try #require(configuration.authorityFile)
        #expect(URL(fileURLWithPath: authority).standardizedFileURL.path == "\(directory.path)/ca.crt")
        #expect(configuration.certificateFile == "/absolute/c.crt")
        #expect(configuration.privateKeyFile == nil)
        #expect(configuration.allowsFirstUse)
    }

    @Test(
        "our own settings as JSON are refused rather than passed over",
        arguments: ["pins", "pin_bundles", "first_use", "servers", "aliases", "max_age", "locked"]
    )
    func foreign(member: String) throws {
        #expect {
            _ = try self.read(#"{"trust_dir": "a", "\#(member)": {}}"#)
        } throws: { "\($0)".contains(member) }
    }

    @Test("a pin of exactly the name counts, else that of the longest prefix, else first use unless it is turned off")
    func pins() throws {
        let text = """
            {"trust_pinning": {"certs": {"docker.io/a/b": ["11"], "docker.io/a/*": ["22", "33"], "docker.io/*": "44"},
             "disable_tofu": true}}
            """
        let configuration = try self.read(text)
        #expect(configuration.anchor(for: "docker.io/a/b") == .keyIDs([KeyID("11")]))
        #expect(configuration.anchor(for: "docker.io/a/bc") == .keyIDs([KeyID("22"), KeyID("33")]))
        #expect(configuration.anchor(for: "docker.io/z") == .keyIDs([KeyID("44")]))
        #expect(configuration.anchor(for: "other.io/z") == .knownOnly)
        #expect(try self.read("{}").anchor(for: "other.io/z") == .firstUse)
    }

    @Test("of CAs that of the longest beginning counts, where no certificate is pinned; its path is as it stands")
    func authorities() throws {
        let text = """
            {"trust_pinning": {"certs": {"docker.io/a/b": ["11"]},
             "ca": {"docker.io/": "hub.crt", "docker.io/a": "a.crt", "": "/all.crt"}}}
            """
        let configuration = try self.read(text)
        #expect(configuration.pinnedKeys(for: "docker.io/a/b") == [KeyID("11")])
        #expect(configuration.authorityFile(for: "docker.io/abc") == "a.crt")
        #expect(configuration.authorityFile(for: "docker.io/b") == "hub.crt")
        #expect(configuration.authorityFile(for: "Docker.io/b") == "/all.crt")
        #expect(configuration.anchor(for: "docker.io/b") == .knownOnly)
    }

    @Test(
        "what cannot be kept is refused rather than left out",
        arguments: [
            (#"{"remote_server": {"skipTLSVerify": true}}"#, "skipTLSVerify"),
            (#"{"trust_pinning": {"ca": {"docker.io": ["ca.crt"]}}}"#, "trust_pinning.ca"),
            (#"{"trust_pinning": {"ca": {"docker.io/*": "ca.crt"}}}"#, "docker.io/"),
            (#"{"trust_pinning": {"certs": {"docker.io/a": []}}}"#, "docker.io/a"),
            (#"{"trust_pinning": {"certs": {"docker.io/a": [1]}}}"#, "docker.io/a"),
            (#"{"trust_pinning": {"certs": {"docker.io/a": ["11", 2]}}}"#, "docker.io/a"),
            (#"{"trust_pinning": {"certs": ["11"]}}"#, "certs must"),
            (#"{"trust_pinning": {"disable_tofu": "yes"}}"#, "disable_tofu"),
            (#"{"trust_pinning": {"disable_TOFU": true}}"#, "disable_TOFU"),
            (#"{"Trust_Pinning": {"disable_tofu": true}}"#, "Trust_Pinning"),
            (#"{"trust_pinning": []}"#, "trust_pinning"),
            (#"{"remote_server": "https://a"}"#, "remote_server"),
            (#"{"remote_server": {"url": 7}}"#, "url"),
            (#"{"trust_dir": ["a"]}"#, "trust_dir"), ("[]", "object"), ("{", ""), ("", ""),
        ]
    )
    func refusals(text: String, named: String) throws {
        #expect { _ = try self.read(text) } throws: {
            ($0 as? ContentTrustError)?.code == .configuration && "\($0)".contains("config.json")
                && (named.isEmpty || "\($0)".contains(named))
        }
    }

    @Test("a file that is not there is named")
    func missing() {
        #expect { _ = try NotaryClientConfiguration(path: "/nonexistent/c.json") } throws: {
            "\($0)".contains("/nonexistent/c.json")
        }
    }
}
