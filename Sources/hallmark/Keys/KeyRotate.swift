// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import KeyStore
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// `hallmark key rotate`
struct KeyRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Replace the keys of a role: on a trust server at once, in a directory with the next publish.",
        discussion: """
            On a trust server: needs the root key. With no --key a new one is made in the trust directory, or by the server \
            with --server-managed. With --keep, --remove or --threshold, or where --key names public keys (of the root \
            certificates in the collection's name), the keys of others change. Where the root takes more signatures than there \
            are keys here, tuf/GUN/pending in the trust directory holds what others have to sign. What is staged stays staged.

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
        ),
        completion: .roles
    )
    var role: String

    @Option(
        name: [.customShort("k"), .customLong("key")],
        parsing: .singleValue,
        help: ArgumentHelp(
            "A key from now on, PEM; may be repeated. On a trust server a private key, which is imported, the id of one that is "
                + "here, or a public key or certificate; in a directory a public key.",
            valueName: "file"
        )
    )
    var files: [String] = []

    @Flag(
        name: [.customShort("r"), .long],
        help: "On a trust server: the server makes the new key of snapshot or timestamp, and signs with it."
    )
    var serverManaged = false

    @Option(
        name: [.customShort("l"), .long],
        help: ArgumentHelp(
            "On a trust server: sign with the keys of so many roots before, too, as far as they are here, for clients that know "
                + "no newer ones.",
            valueName: "number"
        )
    )
    var legacy = 0

    @Flag(help: "Keep the keys that are there.")
    var keep = false

    @Option(
        name: .customLong("remove"),
        parsing: .singleValue,
        help: ArgumentHelp("Only remove this key; may be repeated.", valueName: "id"),
        completion: .keyIDs
    )
    var removed: [String] = []

    @Option(help: ArgumentHelp("How many keys must sign from now on.", valueName: "number"))
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
                ("--algorithm", self.algorithm != nil)
            ],
            onlyServers: [("--server-managed", self.serverManaged), ("--legacy", self.legacy != 0)]
        )
        guard self.legacy >= 0 else { throw ValidationError("--legacy is a number of roots") }
        guard !self.serverManaged || !(self.keep || !self.removed.isEmpty || self.threshold != nil) else {
            throw ValidationError("with --server-managed the server's key is the only one")
        }
        if self.operand.collection.isGUN {
            guard !self.keep || !self.files.isEmpty || self.threshold != nil else {
                throw ValidationError("--keep goes with --key, whose keys come to those that are there, or --threshold")
            }
            guard self.threshold == nil || !self.files.isEmpty || self.keep || !self.removed.isEmpty else {
                throw ValidationError(
                    "say with --key which keys are to sign, or with --keep that those stay that are there"
                )
            }
        }
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
        let collection = try self.trust.managed(gun)
        let rotation = try await self.rotation(of: collection)
        var report = ChangeReport(gun.text, self.output)
        report.add(rotation: rotation)
        if rotation.pending.isEmpty { report.say("Successfully rotated \(self.role) key for repository \(gun)") }
        for id in rotation.keyIDs { report.say("The new key is \(id)") }
        report.finish()
        try collection.ceremonies.requireComplete(rotation.pending)
    }

    private func rotation(of collection: ManagedCollection) async throws -> ManagedCollection.Rotation {
        let files = self.files.map(\.expandingTilde)
        let changesOthers = self.keep || !self.removed.isEmpty || self.threshold != nil
        let arePublic = try await Self.arePublic(files)
        guard changesOthers || arePublic else {
            return try await collection.rotateKey(
                of: RoleName(self.role),
                serverManaged: self.serverManaged,
                keyFiles: files,
                legacyRoots: self.legacy
            )
        }
        return try await collection.changeKeys(
            of: RoleName(self.role),
            adding: files,
            removing: self.removed.map { KeyID($0) },
            keepsOthers: self.keep,
            threshold: self.threshold
        )
    }

    /// Whether files hold public halves, so that their private keys need not be here.
    private static func arePublic(_ files: [String]) async throws -> Bool {
        for file in files {
            let bytes = try await BlockingWork.run { try DurableFile.read(file, limit: PublicKeyFile.limit) }
            // One that is not there is for others to complain of.
            if bytes.map({ String(decoding: $0, as: UTF8.self).contains("PRIVATE KEY-----") }) ?? true { return false }
        }
        return !files.isEmpty
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
