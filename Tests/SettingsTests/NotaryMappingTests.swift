// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Settings

/// Files in the style of Notary's own.
struct NotaryMappingTests {
    private static let server = """
        {
        \t"server": {
        \t\t"http_addr": ":4443",
        \t\t"tls_key_file": "./notary-server.key",
        \t\t"tls_cert_file": "./notary-server.crt"
        \t},
        \t"trust_service": {
        \t\t"type": "remote",
        \t\t"hostname": "notarysigner",
        \t\t"port": "7899",
        \t\t"tls_ca_file": "./root-ca.crt",
        \t\t"key_algorithm": "ecdsa",
        \t\t"tls_client_cert": "./notary-server.crt",
        \t\t"tls_client_key": "./notary-server.key"
        \t},
        \t"logging": { "level": "debug" },
        \t"storage": {
        \t\t"backend": "postgres",
        \t\t"db_url": "postgres://server@postgresql:5432/notaryserver?sslmode=disable"
        \t}
        }
        """
    private static let signer = """
        {
          "server": {
            "grpc_addr": ":7899",
            "tls_cert_file": "./notary-signer.crt",
            "tls_key_file": "./notary-signer.key",
            "client_ca_file": "./notary-server.crt"
          },
          "logging": { "level": "info" },
          "storage": {
            "backend": "postgres",
            "db_url": "postgres://signer@postgresql:5432/notarysigner?sslmode=disable",
            "default_alias": "timestamp_1"
          }
        }
        """

    /// The file with its last member replaced or one more put in.
    private static func server(with members: String) -> String {
        String(Self.server.dropLast(2)) + ",\n" + members + "\n}"
    }

    private func examine(
        _ texts: String...,
        environment: [String: String] = [:]
    ) throws -> (outcome: SettingsLoader.Outcome, directory: String) {
        let files = try TemporaryFiles()
        let paths = try texts.enumerated().map { try files.write($0.element, to: "\($0.offset).json") }
        let loader = SettingsLoader.serve(paths, environment: environment, currentDirectory: "/started/here")
        return (loader.examine(), files.directory)
    }

    @Test("the server's file becomes a trust server with a remote signer, every key of it")
    func serverFile() throws {
        let (outcome, directory) = try self.examine(Self.server)
        #expect(outcome.problems.isEmpty)
        let values = outcome.values
        #expect(values.services == [.server])
        #expect(values[TrustServerSettings.address] == ListenAddress(host: "", port: 4443))
        #expect(values[ServeSettings.certificate] == directory + "/notary-server.crt")
        #expect(values[ServeSettings.key] == directory + "/notary-server.key")
        #expect(!values[TrustServerSettings.plainHTTP])
        #expect(values[SignerSettings.remote] == [ListenAddress(host: "notarysigner", port: 7899)])
        #expect(values[SignerSettings.authority] == directory + "/root-ca.crt")
        #expect(values[SignerSettings.clientCertificate] == directory + "/notary-server.crt")
        #expect(values[SignerSettings.clientKey] == directory + "/notary-server.key")
        #expect(values[DatabaseSettings.server] == "postgres://server@postgresql:5432/notaryserver?sslmode=disable")
        #expect(values[ServeSettings.logLevel] == "debug")
        #expect(values[ServeSettings.logFormat] == "json")
        #expect(
            values.origin(of: TrustServerSettings.address)
                == .file(path: directory + "/0.json", line: 3, notaryKey: "server.http_addr")
        )
    }

    @Test("the signer's file becomes a signer")
    func signerFile() throws {
        let (outcome, directory) = try self.examine(Self.signer)
        #expect(outcome.problems.isEmpty)
        let values = outcome.values
        #expect(values.services == [.signer])
        #expect(values[SignerSettings.address] == ListenAddress(host: "", port: 7899))
        #expect(values[SignerSettings.certificate] == directory + "/notary-signer.crt")
        #expect(values[SignerSettings.clientAuthority] == directory + "/notary-server.crt")
        #expect(values[SignerSettings.defaultAlias] == "timestamp_1")
        #expect(values[DatabaseSettings.signer]?.hasPrefix("postgres://signer@") == true)
    }

    @Test("both files make one process of both, whose server asks the signer in it, and the level that tells more")
    func bothFiles() throws {
        let (outcome, _) = try self.examine(Self.server, Self.signer)
        #expect(outcome.errors.isEmpty, "\(outcome.errors)")
        #expect(outcome.warnings.compactMap(\.key) == ["trust_service.hostname"])
        #expect(outcome.values.services == [.server, .signer])
        #expect(outcome.values[SignerSettings.remote].isEmpty)
        #expect(outcome.values[SignerSettings.address]?.port == 7899)
        #expect(outcome.values[ServeSettings.logLevel] == "debug")
    }

    @Test("variables go before the file, ours before Notary's, and fill in what it lacks")
    func variables() throws {
        let environment = [
            "NOTARY_SERVER_SERVER_HTTP_ADDR": "127.0.0.1:1", "NOTARY_SERVER_STORAGE_DB_URL": "host=/run/db dbname=n",
            "NOTARY_SERVER_CACHING_MAX_AGE_CURRENT_METADATA": "7", "NOTARY_SERVER_SERVER_TLS_CERT_FILE": "other.crt",
            "NOTARY_SERVER_REPOSITORIES_GUN_PREFIXES": "a/ b/", "HALLMARK_LOG_LEVEL": "warning",
            "NOTARY_SIGNER_LOGGING_LEVEL": "panic",
        ]
        let (outcome, directory) = try self.examine(Self.server, environment: environment)
        #expect(outcome.problems.isEmpty, "\(outcome.problems)")
        let values = outcome.values
        #expect(values[TrustServerSettings.address] == ListenAddress(host: "127.0.0.1", port: 1))
        #expect(values.name(TrustServerSettings.address) == "NOTARY_SERVER_SERVER_HTTP_ADDR")
        // Notary's driver asks for TLS where nothing else is said.
        #expect(values[DatabaseSettings.server] == "host=/run/db dbname=n sslmode=require")
        #expect(values[TrustServerSettings.currentMaximumAge] == 7)
        #expect(values[ServeSettings.certificate] == directory + "/other.crt")
        #expect(values[TrustServerSettings.gunPrefixes] == ["a/", "b/"])
        #expect(values[ServeSettings.logLevel] == "warning")
    }

    @Test("NOTARY_SIGNER_DEFAULT_ALIAS names the passphrase where the file does not")
    func aliasInVariable() throws {
        let text = String(
            Self.signer.split(separator: "\n").filter { !$0.contains("default_alias") }.joined(separator: "\n")
        )
        .replacing("sslmode=disable\",", with: "sslmode=disable\"")
        let (without, _) = try self.examine(text)
        #expect(without.errors.compactMap(\.key) == ["storage.default_alias"])
        let (with, _) = try self.examine(text, environment: ["NOTARY_SIGNER_DEFAULT_ALIAS": "a1"])
        #expect(with.errors.isEmpty)
        #expect(with.values[SignerSettings.defaultAlias] == "a1")
    }

    @Test(
        "caching, prefixes and token authentication are taken; the bundle's path begins where the program was started"
    )
    func otherKeys() throws {
        let (outcome, _) = try self.examine(
            Self.server(
                with: """
                    "caching": {"max_age": {"current_metadata": 0, "consistent_metadata": 31536000}},
                    "repositories": {"gun_prefixes": ["docker.io/", "my-own-registry.com/"]},
                    "auth": {"type": "token", "options": {"realm": "https://auth.example.com/token", "service": "notary-server",
                      "issuer": "auth.example.com", "rootcertbundle": "certs/roots.pem", "autoredirect": false}}
                    """
            )
        )
        #expect(outcome.problems.isEmpty, "\(outcome.problems)")
        let values = outcome.values
        #expect(values[TrustServerSettings.currentMaximumAge] == 0)
        #expect(values[TrustServerSettings.consistentMaximumAge] == 31_536_000)
        #expect(values[TrustServerSettings.gunPrefixes] == ["docker.io/", "my-own-registry.com/"])
        #expect(values[AuthenticationSettings.realm] == "https://auth.example.com/token")
        #expect(values[AuthenticationSettings.service] == "notary-server")
        #expect(values[AuthenticationSettings.issuer] == "auth.example.com")
        #expect(values[AuthenticationSettings.certificates] == "/started/here/certs/roots.pem")
        #expect(!values[AuthenticationSettings.autoredirect])
    }

    @Test(
        "the least that Notary starts with: plain HTTP, a local signer, memory; each a warning that says what it becomes"
    )
    func least() throws {
        let (outcome, _) = try self.examine(
            #"{"server": {"http_addr": "127.0.0.1:4443"}, "trust_service": {"type": "local"}, "storage": {"backend": "memory"}}"#
        )
        #expect(outcome.errors.isEmpty)
        #expect(outcome.warnings.compactMap(\.key) == ["storage.backend", "trust_service.type"])
        let values = outcome.values
        #expect(values.services == [.server, .signer])
        #expect(values[TrustServerSettings.plainHTTP])
        #expect(values[TrustServerSettings.keyAlgorithm] == "ed25519")
        #expect(values[DatabaseSettings.server] == nil)
    }

    @Test(
        "a server behind a proxy with TLS, as in Harbor: plain HTTP, tokens, a signer that shows a certificate of a CA"
    )
    func behindProxy() throws {
        let (outcome, directory) = try self.examine(
            """
            {
              "server": {"http_addr": ":4443"},
              "trust_service": {"type": "remote", "hostname": "notarysigner", "port": "7899",
                "tls_ca_file": "./notary-signer-ca.crt", "key_algorithm": "ecdsa"},
              "logging": {"level": "error"},
              "storage": {"backend": "postgres", "db_url": "postgres://server:p@db:5432/notaryserver?sslmode=disable"},
              "auth": {"type": "token", "options": {"realm": "https://harbor/service/token", "service": "harbor-notary",
                "issuer": "harbor-token-issuer", "rootcertbundle": "/etc/notary/root.crt"}}
            }
            """
        )
        #expect(outcome.errors.isEmpty)
        #expect(outcome.warnings.compactMap(\.key) == ["server.plain-http"])
        let values = outcome.values
        #expect(values[TrustServerSettings.plainHTTP])
        #expect(values[SignerSettings.authority] == directory + "/notary-signer-ca.crt")
        #expect(values[SignerSettings.clientCertificate] == SignerSettings.noCertificate)
        #expect(values[AuthenticationSettings.certificates] == "/etc/notary/root.crt")
        #expect(values[ServeSettings.logLevel] == "error")
    }

    @Test("without a CA and a certificate for the signer, the system's are trusted and none is shown")
    func signerWithoutFiles() throws {
        let (outcome, _) = try self.examine(
            """
            {"server": {"http_addr": "127.0.0.1:1"}, "storage": {"backend": "memory"},
             "trust_service": {"type": "remote", "hostname": "::1", "port": 7899, "key_algorithm": "ed25519"}}
            """
        )
        #expect(outcome.errors.isEmpty)
        #expect(outcome.values[SignerSettings.remote] == [ListenAddress(host: "::1", port: 7899)])
        #expect(outcome.values[SignerSettings.authority] == SignerSettings.systemAuthorities)
        #expect(outcome.values[SignerSettings.clientCertificate] == SignerSettings.noCertificate)
    }

    @Test("a signer without client_ca_file lets everybody in, and says so")
    func anyClient() throws {
        let text = Self.signer.replacing(#","client_ca_file": "./notary-server.crt""#, with: "")
            .replacing(",\n    \"client_ca_file\": \"./notary-server.crt\"", with: "")
        let (outcome, _) = try self.examine(text)
        #expect(outcome.errors.isEmpty)
        #expect(outcome.warnings.compactMap(\.key) == ["server.client_ca_file"])
        #expect(outcome.values[SignerSettings.anyClient])
    }

    @Test("dead and unknown keys are warnings")
    func unknownKeys() throws {
        let (outcome, _) = try self.examine(
            Self.server(
                with: """
                    "reporting": {"bugsnag": {"api_key": "c9d6", "release_stage": "production"}},
                    "loging": {"level": "debug"},
                    "Extra": {"a": {"b": 1}}
                    """
            )
        )
        #expect(outcome.errors.isEmpty)
        #expect(outcome.warnings.map { "\($0.key ?? "")" } == ["reporting", "loging", "extra"])
    }

    @Test(
        "what cannot be done as it is asked is refused by key",
        arguments: [
            (#""auth": {"type": "htpasswd", "options": {}}"#, "auth.type", "serves everybody"),
            (
                #""auth": {"type": "token", "options": {"realm": "https://a/", "issuer": "i", "rootcertbundle": "r"}}"#,
                "auth.options.service", "missing"
            ),
            (#""repositories": {"gun_prefixes": ["/a/"]}"#, "server.gun-prefixes", "found `/a/`"),
            (#""caching": {"max_age": {"current_metadata": 31536001}}"#, "server.current-max-age", "31536001"),
            (#""caching": {"max_age": {"current_metadata": -1}}"#, "server.current-max-age", "-1"),
        ]
    )
    func refusals(member: String, key: String, reason: String) throws {
        let (outcome, _) = try self.examine(Self.server(with: member))
        #expect(outcome.errors.compactMap(\.key) == [key], "\(outcome.errors)")
        #expect(outcome.errors.first?.message.contains(reason) == true)
    }

    @Test(
        "wrong values of single keys are refused as well",
        arguments: [
            (#""backend": "postgres""#, #""backend": "mysql""#, "storage.backend", "From MySQL or RethinkDB"),
            (#""backend": "postgres""#, #""backend": "rethinkdb""#, "storage.backend", "docs/config.md"),
            (#""backend": "postgres""#, #""backend": "sqlite3""#, "storage.backend", "expected postgres"),
            (#""backend": "postgres""#, #""backend": "oracle""#, "storage.backend", "expected postgres or memory"),
            (#""type": "remote""#, #""type": "far""#, "trust_service.type", "expected remote or local"),
            (#""key_algorithm": "ecdsa""#, #""key_algorithm": "dsa""#, "server.key-algorithm", "expected one of"),
            (#""level": "debug""#, #""level": "loud""#, "logging.level", "expected debug, info"),
            (
                "\t\t\"tls_key_file\": \"./notary-server.key\",\n", "", "server.tls_cert_file",
                "needs server.tls_key_file"
            ),
            (#""http_addr": ":4443","#, "", "server.http_addr", "is missing"),
        ]
    )
    func wrongValues(right: String, wrong: String, key: String, reason: String) throws {
        #expect(Self.server.contains(right))
        let (outcome, _) = try self.examine(Self.server.replacing(right, with: wrong))
        #expect(outcome.errors.compactMap(\.key) == [key], "\(outcome.errors)")
        #expect(outcome.errors.first?.message.contains(reason) == true, "\(outcome.errors)")
    }

    @Test("two files of the same program are refused; a file of our own goes before Notary's")
    func severalFiles() throws {
        let (twice, _) = try self.examine(Self.server, Self.server)
        #expect(twice.errors.count == 1)
        let (overlaid, _) = try self.examine(Self.server, "log: {format: text}\nserver: {address: \"127.0.0.1:9\"}\n")
        #expect(overlaid.errors.isEmpty)
        #expect(overlaid.values[ServeSettings.logFormat] == "text")
        #expect(overlaid.values[TrustServerSettings.address].port == 9)
    }
}
