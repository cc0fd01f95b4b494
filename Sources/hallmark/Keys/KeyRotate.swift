// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI
import TUF
import TUFRepository

/// `hallmark key rotate`
struct KeyRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Replace the keys of a role: on a trust server at once, in a directory with the next publish.",
        discussion: """
            On a trust server: needs the root key. With no --key a new one is made in the trust directory, or by the server \
            with --server-managed. What is staged stays staged.

            In a directory: with no --key a new one is made in the trust directory. The keys that are replaced sign once more \
            if they are at hand, so that no reader is refused meanwhile; a new root needs the signatures of the old root keys \
            in any case. For bins, ROLE is what their names begin with.
            """
    )

    @OptionGroup var operand: CollectionOperand
    @Argument(
        help: ArgumentHelp(
            "root, targets, snapshot or timestamp; in a directory a delegated role too.",
            valueName: "role"
        )
    )
    var role: String

    @Option(
        name: [.customShort("k"), .customLong("key")],
        parsing: .singleValue,
        help: ArgumentHelp(
            "A key from now on; may be repeated. On a trust server a private key, PEM, which is imported; in a directory a "
                + "public key.",
            valueName: "file"
        )
    )
    var files: [String] = []

    @Flag(
        name: [.customShort("r"), .long],
        help: "On a trust server: the server makes the new key of snapshot or timestamp, and signs with it."
    )
    var serverManaged = false

    @Flag(help: "In a directory: keep the keys that are there.")
    var keep = false

    @Option(
        name: .customLong("remove"),
        parsing: .singleValue,
        help: ArgumentHelp("In a directory: only remove this key; may be repeated.", valueName: "id")
    )
    var removed: [String] = []

    @Option(help: ArgumentHelp("In a directory: how many keys must sign from now on.", valueName: "number"))
    var threshold: Int64?

    @Option(
        help: ArgumentHelp(
            "In a directory, of the new key: ed25519 (default), ecdsa-p256, ecdsa-p384 or rsa.",
            valueName: "kind"
        )
    )
    var algorithm: KeyAlgorithm?

    @Flag(name: [.customShort("p"), .long], help: "Publish at once. On a trust server this is always so.")
    var publish = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.operand.collection.check(
            onlyDirectories: [
                ("--keep", self.keep), ("--remove", !self.removed.isEmpty), ("--threshold", self.threshold != nil),
                ("--algorithm", self.algorithm != nil),
            ],
            onlyServers: [("--server-managed", self.serverManaged)]
        )
        guard !self.serverManaged || self.files.isEmpty else {
            throw ValidationError("with --server-managed the server makes the key: leave --key out")
        }
    }

    func run() async throws {
        switch try self.operand.collection.changeable(by: "key rotate") {
        case .gun(let gun): try await self.rotate(gun)
        case .directory(let directory): try await self.rotate(directory)
        }
    }

    private func rotate(_ gun: GUN) async throws {
        let rotation = try await self.trust.managed(gun).rotateKey(
            of: RoleName(self.role),
            serverManaged: self.serverManaged,
            keyFiles: self.files.map(\.expandingTilde)
        )
        var report = ChangeReport(gun.text, self.output)
        report.add(rotation: rotation)
        report.say("Successfully rotated \(self.role) key for repository \(gun)")
        for id in rotation.keyIDs { report.say("The new key is \(id)") }
        report.finish()
    }

    private func rotate(_ directory: String) async throws {
        let role = RoleName(self.role)
        let stored = try await self.trust.signingKeys()
        let repository = StaticRepository(directory: directory, keys: stored)
        try await repository.requireRepository()
        var report = ChangeReport(directory, self.output)
        var keys: [PublicKey] = []
        for file in self.files { keys.append(try await PublicKey(file: file)) }
        let onlyChanges = !self.removed.isEmpty || (self.keep && self.threshold != nil)
        if keys.isEmpty, !onlyChanges {
            let key = try await stored.generate((self.algorithm ?? .ed25519).algorithm, for: role)
            report.add(newKey: key.id, for: role)
            keys = [key]
        }
        let edit = StagedChange.KeysEdit(
            role: role,
            add: keys,
            remove: self.removed.map { KeyID($0) },
            replacesAll: !self.keep && self.removed.isEmpty,
            threshold: self.threshold
        )
        try await repository.stage(
            [.keys(edit)],
            "Rotation of the \(self.role) keys staged.",
            publishing: self.publish,
            &report
        )
    }
}
