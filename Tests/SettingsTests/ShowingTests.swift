// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Settings

struct ShowingTests {
    @Test("what is shown can be read again, and means the same")
    func roundTrip() throws {
        let files = try TemporaryFiles()
        let path = try files.write(
            """
            data: "/a b/\\"c\\" \\u2028 é"
            only: [signer]
            hostname: ["*.example.com", "true", "a,b", "12"]
            server: {address: ":1", gun-prefixes: [x/]}
            registry: {address: "[::1]:5000", tls: true}
            database: {url: "host=/s user=u password='a b'", connections: 3}
            """
        )
        let values = try SettingsLoader.serve([path]).load().values
        let shown = SettingsYAML(values, showsOrigins: true, showsSecrets: true).text
        let again = try SettingsLoader.serve([try files.write(shown, to: "again.yml")]).load().values
        #expect(again.all.map(\.words) == values.all.map(\.words))
    }

    @Test("passwords are hidden unless they are asked for, and origins are told")
    func secretsAndOrigins() throws {
        let files = try TemporaryFiles()
        let path = try files.write("server:\n  database: postgres://u:secret@h/d\n")
        let values = try SettingsLoader.serve([path], environment: ["HALLMARK_LOG_LEVEL": "info"]).load().values
        let shown = SettingsYAML(values, showsOrigins: true).text
        #expect(!shown.contains("secret@"))
        #expect(shown.contains("  database: \"postgres://u:***@h/d\"  # \(path):2; password hidden"))
        #expect(shown.contains("  level: info  # HALLMARK_LOG_LEVEL\n"))
        #expect(shown.contains("  address: 127.0.0.1:4443  # default\n"))
        #expect(SettingsYAML(values, showsSecrets: true).text.contains("secret@"))
    }

    @Test("docs/config.md has the table of the settings as they are (scripts/write-settings-table)")
    func documentation() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/config.md"), encoding: .utf8)
        for line in SettingsTable.markdown(ServeSettings.schema).split(separator: "\n") {
            #expect(text.contains(line + "\n"), "missing: \(line)")
        }
    }
}
