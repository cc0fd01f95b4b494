// SPDX-License-Identifier: Apache-2.0

import Ceremony
import ContentTrust
import TUF
import TUFRepository
import TrustClient

/// What a verb that changes something has to say: lines as it goes, or JSON at its end.
struct ChangeReport {
    private let isJSON: Bool
    private var content: Content

    /// - Parameter name: what is changed.
    init(_ name: String, _ output: OutputOptions) {
        self.isJSON = output.output == .json
        self.content = Content(name: name)
    }

    /// Says something to people.
    func say(_ text: String) {
        if !self.isJSON { print(TerminalText.line(text)) }
    }

    /// Says it to people, and stays quiet about it in JSON, which has it in another form.
    func notice(_ text: String) {
        if !self.isJSON { Notice.write(text) }
    }

    mutating func add(staged changes: [Change]) { self.content.staged += changes.map { StagedReport($0) } }

    mutating func add(staged changes: [StagedChange]) { self.content.staged += changes.map { StagedReport($0) } }

    mutating func add(newKey id: KeyID, for role: RoleName) {
        self.content.newKeys = (self.content.newKeys ?? []) + [.init(id: id.text, role: role.text)]
        self.say("Made the \(role) key \(id)")
    }

    mutating func add(rootKeys ids: [KeyID]) {
        self.content.newRootKeys = (self.content.newRootKeys ?? []) + ids.map(\.text)
    }

    mutating func add(rotation: ManagedCollection.Rotation) {
        self.add(pending: rotation.pending)
        self.content.rotated = .init(
            role: rotation.role.text,
            keys: rotation.keyIDs.map(\.text),
            serverManaged: rotation.isServerManaged
        )
    }

    /// A publish of a collection on a trust server, and what it is called.
    mutating func add(_ publication: ManagedCollection.Publication) {
        self.content.published = publication.roles.map { .init(role: $0.text, version: nil) }
        self.content.new = publication.isFirst
        self.add(rootKeys: publication.newRootKeyIDs)
        let name = self.content.name
        for id in publication.newRootKeyIDs { self.notice("Made \(name) with root key \(id)") }
        self.add(pending: publication.pending)
        if publication.roles.isEmpty {
            guard publication.pending.isEmpty else { return }
            self.say("Nothing to publish for repository \(name)")
        } else {
            self.say("Successfully published changes for repository \(name)")
        }
    }

    /// A publish of a repository in a directory.
    mutating func add(published roles: [(role: RoleName, version: Int64)]) {
        self.content.published = (self.content.published ?? []) + roles.map { .init(role: $0.text, version: $1) }
        for (role, version) in roles { self.say("Published \(role) version \(version)") }
    }

    /// Metadata that waits for signatures.
    mutating func add(pending: [SigningCeremony]) {
        if !pending.isEmpty { self.content.pending = pending.map { CeremonyReport($0) } }
    }

    mutating func add(dropped count: Int?) { self.content.dropped = count }

    mutating func add(deleted where: String) { self.content.deleted = `where` }

    /// Ends the report.
    func finish() {
        if self.isJSON { JSONOutput.write(self.content) }
    }

    private struct Content: Encodable {
        struct Published: Encodable {
            let role: String
            let version: Int64?
        }

        struct NewKey: Encodable {
            let id: String
            let role: String
        }

        struct Rotated: Encodable {
            let role: String
            let keys: [String]
            let serverManaged: Bool
        }

        let name: String
        var staged: [StagedReport] = []
        var published: [Published]?
        var new: Bool?
        var newKeys: [NewKey]?
        var newRootKeys: [String]?
        var rotated: Rotated?
        var pending: [CeremonyReport]?
        var dropped: Int?
        var deleted: String?
    }
}

/// A staged change, as JSON.
struct StagedReport: Encodable {
    /// A sentence.
    let change: String
    // How the changelist has it; nil in a repository in a directory.
    var action: String?
    var role: String?
    var type: String?
    var path: String?
    /// Nil on a trust server.
    var waitsForSignatures: Bool?

    init(_ change: Change) {
        self.change = change.summary
        self.action = change.action.rawValue
        self.role = change.role.text
        self.type = change.subject.rawValue
        self.path = change.path.isEmpty ? nil : change.path
    }

    init(_ change: StagedChange, isPending: Bool? = nil) {
        self.change = change.summary
        self.waitsForSignatures = isPending
    }
}
