// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Settings

struct ServeRulesTests {
    private static func options(_ pairs: [(String, String)]) -> [GivenSetting] {
        pairs.compactMap { option, value in
            let declaration = ServeSettings.schema.declarations.first { $0.option == option }
            return declaration.map {
                GivenSetting(
                    $0.key,
                    $0.shape == .list ? value.split(separator: " ").map(String.init) : [value],
                    from: .option("--\(option)")
                )
            }
        }
    }

    @Test(
        "what does not go together is refused by name, with what is missing",
        arguments: [
            ([("tls-certificate", "c")], "--tls-certificate: needs --tls-key (tls.key)"),
            ([("tls-key", "k")], "--tls-key: needs --tls-certificate (tls.certificate)"),
            ([("signer-certificate", "c"), ("signer-key", "k")], "--signer-certificate: needs --signer-client-ca"),
            ([("signer-any-client", "true"), ("signer-client-ca", "c")], "--signer-any-client: lets everybody in"),
            ([("only", "server"), ("signer-address", ":1")], "--signer-address: is for a process with the signer"),
            ([("signer", "s:1")], "--signer: is for a trust server whose signer is another process"),
            ([("only", "signer"), ("signer-ca", "c")], "--signer-ca: is for a trust server"),
            ([("server-plain-http", "true"), ("server-client-ca", "c")], "--server-client-ca: asks for certificates"),
            (
                [("server-address", "h:1"), ("registry-address", "h:1")],
                "--server-address: is h:1, as is --registry-address"
            ),
            ([("auth-issuer", "i")], "--auth-issuer: needs --auth-realm"),
            (
                [("auth-realm", "https://a"), ("auth-issuer", "i"), ("auth-jwks", "f")],
                "--auth-realm: needs --auth-service"
            ),
            (
                [("auth-autoredirect", "true"), ("auth-issuer", "i"), ("auth-service", "s")],
                "--auth-autoredirect: needs --auth-certificates (auth.certificates) or --auth-jwks"
            ),
        ]
    )
    func conflicts(given: [(String, String)], message: String) throws {
        let outcome = SettingsLoader.serve(options: Self.options(given)).examine()
        #expect(outcome.errors.count == 1)
        #expect(outcome.errors.first?.description.hasPrefix(message) == true, "\(outcome.errors)")
        #expect(throws: SettingsError.self) { try SettingsLoader.serve(options: Self.options(given)).load() }
    }

    @Test(
        "users are for a service that has an address with TLS, and no other's tokens",
        arguments: [
            ("rules=r", "--rules: needs --users (tokens.users)"),
            ("users=u auth-realm=https://a auth-issuer=i auth-service=s auth-jwks=f", "--users: makes tokens here"),
            ("users=u only=registry", "--users: needs an address with TLS"),
            ("users=u only=registry,server server-plain-http=true", "--users: needs an address with TLS"),
        ]
    )
    func users(given: String, message: String) {
        let pairs = given.split(separator: " ").map { item in
            let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
            return (parts[0], parts[1].replacing(",", with: " "))
        }
        let errors = SettingsLoader.serve(options: Self.options(pairs)).examine().errors
        #expect(errors.count == 1)
        #expect(errors.first?.description.hasPrefix(message) == true, "\(errors)")
    }

    @Test("one file serves the processes of a split installation, each with its own --only")
    func oneFileForAll() throws {
        let files = try TemporaryFiles()
        let path = try files.write(
            """
            signer:
              address: 127.0.0.1:7899
              certificate: s.crt
              key: s.key
              client-ca: ca.crt
              remote: 127.0.0.1:7899
              ca: ca.crt
              client-certificate: c.crt
              client-key: c.key
            """
        )
        for service in ["server", "signer", "registry"] {
            let outcome = SettingsLoader.serve([path], options: Self.options([("only", service)])).examine()
            #expect(outcome.problems.isEmpty, "\(outcome.problems)")
        }
        // Both in one process: which signer is meant must be said.
        #expect(SettingsLoader.serve([path]).examine().places == ["6 signer.remote"])
    }

    @Test("plain HTTP beyond the machine is a warning, on it nothing")
    func plainHTTP() throws {
        let near = SettingsLoader.serve(options: Self.options([("server-plain-http", "true")])).examine()
        #expect(near.problems.isEmpty)
        let far = SettingsLoader.serve(
            options: Self.options([("server-plain-http", "true"), ("server-address", ":1"), ("registry-address", ":2")])
        ).examine()
        #expect(far.errors.isEmpty)
        #expect(far.warnings.compactMap(\.key) == ["registry.address", "server.plain-http"])
    }
}
