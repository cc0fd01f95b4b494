// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Settings

struct ConfigurationFileTests {
    @Test("every setting of a file is taken, whatever the way it is written")
    func everySettingIsTaken() throws {
        let files = try TemporaryFiles()
        let path = try files.write(
            """
            # a comment with &anchor and *alias
            data: /var/lib/hallmark
            only: [server, signer]
            hostname: trust.example.com
            server:
              address: ":4443"
              gun-prefixes:
                - example.com/team/
                - "example.com/other/"
            server.current-max-age: 60
            database: postgres://hallmark@db/hallmark
            log: {level: info, format: json}
            signer:
            """
        )
        let outcome = try SettingsLoader.serve([path]).load()
        let values = outcome.values
        #expect(values[ServeSettings.data] == "/var/lib/hallmark")
        #expect(values.services == [.server, .signer])
        #expect(values[ServeSettings.hostNames] == ["trust.example.com"])
        #expect(values[TrustServerSettings.address] == ListenAddress(host: "", port: 4443))
        #expect(values[TrustServerSettings.gunPrefixes] == ["example.com/team/", "example.com/other/"])
        #expect(values[TrustServerSettings.currentMaximumAge] == 60)
        #expect(values[DatabaseSettings.shared] == "postgres://hallmark@db/hallmark")
        #expect(values[ServeSettings.logFormat] == "json")
        #expect(values.origin(of: TrustServerSettings.gunPrefixes) == .file(path: path, line: 7))
        #expect(outcome.problems.isEmpty)
    }

    @Test("all errors of a file are told together, each with its line, what was found and what was expected")
    func allErrorsAreToldTogether() throws {
        let files = try TemporaryFiles()
        let path = try files.write(
            """
            serverr:
              address: ":1"
            server:
              addres: ":1"
              address: nonsense
              key-algorithm: dsa
              gun-prefixes: [a/, b]
            registry:
              tls: yes
              address:
            database:
              connections: 0
            log: info
            tls: {certificate: [a]}
            only: [server, {signer: true}]
            level: debug
            """
        )
        let outcome = SettingsLoader.serve([path]).examine()
        #expect(
            outcome.places == [
                "1 serverr", "4 server.addres", "5 server.address", "6 server.key-algorithm", "7 server.gun-prefixes",
                "9 registry.tls", "10 registry.address", "12 database.connections", "13 log", "14 tls.certificate",
                "15 only", "16 level",
            ]
        )
        let text = outcome.errors.map(\.description)
        #expect(text[0].hasPrefix("\(path):1: serverr: is no setting; did you mean `server`?"))
        #expect(text[1].contains("did you mean `server.address`?"))
        #expect(text[2].contains("found `nonsense`, expected HOST:PORT"))
        #expect(text[3].contains("found `dsa`, expected one of ecdsa, ed25519, rsa"))
        #expect(text[5].contains("found `yes`, expected true or false"))
        #expect(text[6].contains("found nothing"))
        #expect(text[7].contains("found `0`, expected a number from 1 to 1000"))
        #expect(text[8].contains("found `info`, expected a section with one or more of level, format"))
        #expect(text[9].contains("found a list, expected the path of a file"))
        #expect(text[11].contains("did you mean `log.level`?"))
    }

    @Test(
        "what is no document is refused with its line",
        arguments: [
            ("a: 1\nb: [1, 2\n", 3, "neither YAML nor JSON"),
            ("server:\n  address: :1\n  address: :2\n", 2, "`address` stands here more than once"),
            ("data: &x /a\nhostname: *x\n", 1, "anchors and aliases"),
            ("a:\n- *x\n", 2, "anchors and aliases"),
            ("{\"a\":*x}", 1, "anchors and aliases"),
            ("\n- one\n- two\n", 2, "found a list, expected sections"),
            ("data: /a\n---\ndata: /b\n", 2, "another document"),
            ("x: " + String(repeating: "[", count: 40), 1, "nests deeper"),
            ("\n? [a]\n: b\n", 2, "found a list as a name"),
        ]
    )
    func noDocument(text: String, line: Int, reason: String) throws {
        let files = try TemporaryFiles()
        let path = try files.write(text)
        let error = try #require(SettingsLoader.serve([path]).examine().errors.first)
        guard case .file(path, let found, nil) = error.origin else {
            Issue.record("no place in the file: \(error)")
            return
        }
        #expect(found == line)
        #expect(error.message.contains(reason), "\(error)")
    }

    @Test(
        "what only looks like an anchor is taken",
        arguments: ["\"&a, *b: [{\"", "'it''s *x, &y'", "R &D *x", "a#b"]
    )
    func quotedTextIsNoAnchor(text: String) throws {
        let files = try TemporaryFiles()
        let path = try files.write("hostname: \(text)\ndata: /d\n")
        let values = try SettingsLoader.serve([path]).load().values
        #expect(values[ServeSettings.data] == "/d")
        #expect(values[ServeSettings.hostNames].count == 1)
    }

    @Test("a file that is too large, or no text, or not there is refused by its name")
    func fileCannotBeRead() throws {
        let files = try TemporaryFiles()
        let large = try files.write(String(repeating: "# \n", count: 100_000), to: "large.yml")
        let binary = files.directory + "/binary.yml"
        #expect(throws: DocumentProblem.self) { try YAMLDocument(path: binary, bytes: [0x61, 0x3A, 0xFF]) }
        let outcome = SettingsLoader.serve([large, files.directory + "/nowhere.yml"]).examine()
        #expect(outcome.errors.count == 2)
        #expect(outcome.errors[0].description.contains("large.yml"))
        #expect(outcome.errors[1].description.contains("nowhere.yml:1: there is no such file"))
    }

    @Test("an empty file says nothing, and is right")
    func emptyFile() throws {
        let files = try TemporaryFiles()
        #expect(
            SettingsLoader.serve([try files.write(""), try files.write("# nothing\n", to: "b.yml")]).examine().problems
                .isEmpty
        )
    }

    @Test("paths are relative to the file, not to where the program was started")
    func relativePaths() throws {
        let files = try TemporaryFiles()
        let path = try files.write(
            """
            data: ~/data
            tls: {certificate: ./certs/a.pem, key: /etc/a.key}
            signer: {ca: system}
            """
        )
        let values = try SettingsLoader.serve([path], currentDirectory: "/elsewhere").load().values
        #expect(values[ServeSettings.data] == "~/data")
        #expect(values[ServeSettings.certificate] == files.directory + "/certs/a.pem")
        #expect(values[ServeSettings.key] == "/etc/a.key")
        #expect(values[SignerSettings.authority] == "system")
        #expect(RelativePath.directory(of: "conf/x.yml", current: "/w") == "/w/conf")
        #expect(RelativePath.directory(of: "x.yml", current: "/w") == "/w")
        #expect(RelativePath.directory(of: "/x.yml", current: "/w") == "/")
    }

    @Test("a setting in two files is an error that names both places")
    func twoFiles() throws {
        let files = try TemporaryFiles()
        let first = try files.write("data: /a\n", to: "a.yml")
        let second = try files.write("\ndata: /b\n", to: "b.yml")
        let error = try #require(SettingsLoader.serve([first, second]).examine().errors.first)
        #expect(error.description == "\(second):2: data: is given here and in \(first):1: keep one of them")
    }
}
