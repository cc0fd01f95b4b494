// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import TokenAuthentication

struct AccessEntryTests {
    struct Case: Sendable {
        let scope: String
        let entry: AccessEntry

        init(_ scope: String, _ entry: AccessEntry) {
            self.scope = scope
            self.entry = entry
        }
    }

    @Test(
        "A scope is read and written",
        arguments: [
            Case("repository:app:pull", .repository("app", "pull")),
            Case("repository:team/app:pull,push", .repository("team/app", "pull", "push")),
            Case("repository:host:5000/team/app:pull,push", .repository("host:5000/team/app", "pull", "push")),
            Case("repository:docker.io/é/app:*", .repository("docker.io/é/app", "*")),
            Case("registry:catalog:*", .catalog),
            Case("repository:app:", .repository("app")),
            Case(
                "repository(plugin):store/sshfs:pull",
                AccessEntry(type: "repository", class: "plugin", name: "store/sshfs", actions: ["pull"])
            ),
        ]
    )
    func scope(_ example: Case) throws {
        #expect(try AccessEntry(scope: example.scope) == example.entry)
        #expect(example.entry.scope == example.scope)
    }

    @Test(
        "What is no scope is refused",
        arguments: [
            "", "repository", "repository:app", ":app:pull", "repository::pull", "Repository:app:pull",
            "repository(:app:pull", "repository():app:pull", "re)ory:app:pull", "repository:app:PULL",
            "repository:app:pu*l", "repository:a\u{1}b:pull", "repository:a\"b:pull", "repository:a\\b:pull",
            "repository:\(String(repeating: "a", count: 1281)):pull", "repository:\u{7F}:pull",
            "repository:app:\(Array(repeating: "a", count: 17).joined(separator: ","))",
            "repository:app:\(String(repeating: "a", count: 33))",
        ]
    )
    func notAScope(_ text: String) {
        #expect(throws: TokenError(.scope, "")) { try AccessEntry(scope: text) }
    }

    @Test("A list is separated by spaces, and bounded")
    func lists() throws {
        let entries = try AccessEntry.list(scope: " repository:a:pull,push  repository:b:pull registry:catalog:*")
        #expect(entries == [.repository("a", "pull", "push"), .repository("b", "pull"), .catalog])
        #expect(AccessEntry.scope(of: entries) == "repository:a:pull,push repository:b:pull registry:catalog:*")
        #expect(try AccessEntry.list(scope: "").isEmpty)
        let many = Array(repeating: "repository:a:pull", count: AccessEntry.maximumCount)
        #expect(try AccessEntry.list(scope: many.joined(separator: " ")).count == many.count)
        #expect(throws: TokenError(.scope, "")) {
            try AccessEntry.list(scope: (many + ["repository:a:pull"]).joined(separator: " "))
        }
        #expect(throws: TokenError(.scope, "")) {
            try AccessEntry.list(scope: String(repeating: " ", count: AccessEntry.maximumScopeLength + 1))
        }
    }

    @Test("The star grants every action, and only a star grants the star")
    func grants() {
        let granted: [AccessEntry] = [
            .repository("a", "pull"), .repository("a", "push"), .repository("b", "*"),
            AccessEntry(type: "repository", class: "plugin", name: "c", actions: ["pull"]),
        ]
        #expect(granted.grant(.repository("a", "pull", "push")))
        #expect(!granted.grant(.repository("a", "delete")))
        #expect(!granted.grant(.repository("a", "*")))
        #expect(granted.grant(.repository("b", "delete")))
        #expect(granted.grant(.repository("b", "*")))
        #expect(granted.grant(.repository("c", "pull")))
        #expect(!granted.grant(.repository("d", "pull")))
        #expect(!granted.grant(.repository("A", "pull")))
        #expect(!granted.grant(AccessEntry(type: "registry", name: "a", actions: ["pull"])))
        #expect(!granted.grant(.catalog))
    }

    @Test("What is asked for is limited to what is allowed")
    func limits() {
        let asked = AccessEntry.repository("a", "pull", "push", "delete")
        #expect(asked.limited(to: ["push", "pull"]) == .repository("a", "pull", "push"))
        #expect(asked.limited(to: ["*"]) == asked)
        #expect(asked.limited(to: []).actions.isEmpty)
        #expect(AccessEntry.repository("a", "*").limited(to: ["pull"]) == .repository("a", "pull"))
        #expect(AccessEntry.repository("a", "*").limited(to: ["*"]) == .repository("a", "*"))
    }

    @Test("The claim of a token is as Docker's")
    func claim() throws {
        let entry = AccessEntry(type: "repository", class: "plugin", name: "a/b", actions: ["pull", "push"])
        let json = try String(decoding: JSONWebToken.encoder.encode(entry), as: UTF8.self)
        #expect(json == #"{"actions":["pull","push"],"class":"plugin","name":"a/b","type":"repository"}"#)
        let plain = #"{"type":"repository","class":"","name":"a/b","actions":["pull","pull"]}"#
        #expect(
            try JSONDecoder().decode(AccessEntry.self, from: Data(plain.utf8)) == .repository("a/b", "pull")
        )
        let none = #"{"type":"repository","name":"a/b","actions":null}"#
        #expect(try JSONDecoder().decode(AccessEntry.self, from: Data(none.utf8)) == .repository("a/b"))
    }
}
