// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Settings

struct PrecedenceTests {
    private let option = GivenSetting("server.address", ["127.0.0.1:1"], from: .option("--server-address"))
    private let variable = ["HALLMARK_SERVER_ADDRESS": "127.0.0.1:2"]

    @Test(
        "an option goes before a variable, that before a file, that before the default; each says where it comes from"
    )
    func order() throws {
        let files = try TemporaryFiles()
        let path = try files.write("server: {address: \"127.0.0.1:3\"}\n")
        let all = try SettingsLoader.serve([path], environment: self.variable, options: [self.option]).load().values
        #expect(all[TrustServerSettings.address].port == 1)
        #expect(all.origin(of: TrustServerSettings.address) == .option("--server-address"))
        let two = try SettingsLoader.serve([path], environment: self.variable).load().values
        #expect(two[TrustServerSettings.address].port == 2)
        #expect(two.origin(of: TrustServerSettings.address) == .variable("HALLMARK_SERVER_ADDRESS"))
        let one = try SettingsLoader.serve([path]).load().values
        #expect(one[TrustServerSettings.address].port == 3)
        #expect(one.origin(of: TrustServerSettings.address) == .file(path: path, line: 1))
        let none = try SettingsLoader.serve().load().values
        #expect(none[TrustServerSettings.address].port == 4443)
        #expect(none.origin(of: TrustServerSettings.address) == .fallback)
    }

    @Test("a wrong value is told even where another goes before it")
    func wrongValueIsTold() throws {
        let files = try TemporaryFiles()
        let path = try files.write("server: {address: here}\n")
        let outcome = SettingsLoader.serve([path], options: [self.option]).examine()
        #expect(outcome.places == ["1 server.address"])
    }

    @Test("an empty variable is none, a list is separated by commas, and a wrong value is told by the variable's name")
    func variables() throws {
        let values = try SettingsLoader.serve(
            environment: ["HALLMARK_DATA": "", "HALLMARK_ONLY": "server, signer", "HALLMARK_DEBUG": "true"]
        ).load().values
        #expect(values[ServeSettings.data] == "~/.local/share/hallmark")
        #expect(values.services == [.server, .signer])
        #expect(values[ServeSettings.debug])
        let wrong = SettingsLoader.serve(environment: ["HALLMARK_REGISTRY_TLS": "maybe"]).examine()
        #expect(wrong.errors.map(\.description) == ["HALLMARK_REGISTRY_TLS: found `maybe`, expected true or false"])
    }

    @Test("a variable that is nearly one is a warning, those that Kubernetes makes are nobody's concern")
    func mistypedVariables() {
        let outcome = SettingsLoader.serve(
            environment: [
                "HALLMARK_SEVER_ADDRESS": ":1", "HALLMARK_SERVER_PORT": "tcp://10.0.0.1:4443",
                "HALLMARK_SERVER_SERVICE_HOST": "10.0.0.1", "HALLMARK_PORT_4443_TCP_PROTO": "tcp",
                "HALLMARK_CONFIG": "/c.yml", "HALLMARK_KEY_ID": "x", "OTHER": "y",
            ]
        ).examine()
        #expect(
            outcome.problems.map(\.description) == [
                "HALLMARK_SEVER_ADDRESS: is no setting's variable; did you mean HALLMARK_SERVER_ADDRESS?"
            ]
        )
        #expect(outcome.errors.isEmpty)
    }

    @Test("names follow from the key, and no two settings share one")
    func names() {
        let declarations = ServeSettings.schema.declarations
        #expect(TrustServerSettings.clientAuthority.declaration.option == "server-client-ca")
        #expect(TrustServerSettings.clientAuthority.declaration.variable == "HALLMARK_SERVER_CLIENT_CA")
        #expect(DatabaseSettings.shared.declaration.variable == "HALLMARK_DATABASE")
        #expect(Set(declarations.map(\.key)).count == declarations.count)
        #expect(Set(declarations.map(\.option)).count == declarations.count)
        #expect(Set(declarations.flatMap(\.variables)).count == declarations.flatMap(\.variables).count)
    }

    @Test("every default is a value of its setting")
    func defaults() throws {
        for declaration in ServeSettings.schema.declarations {
            guard let fallback = declaration.fallback else { continue }
            #expect(throws: Never.self) { try declaration.parse(fallback) }
        }
    }
}
