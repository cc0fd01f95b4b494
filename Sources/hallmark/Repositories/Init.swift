// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Ceremony
import ContentTrust
import KeyStore
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// `hallmark init`
struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Begin a collection on a trust server, or a repository in a directory that any web server can serve.",
        discussion: """
            On a trust server: what is made stays on this machine until hallmark publish, or --publish. The root key is the \
            one that --rootkey or --rootcert names, else the first one in the trust directory, else a new one. Root keys that \
            --key names are certificates in the collection's name (hallmark key generate --certificate).

            A role that no --key is given for gets a new one, in the trust directory. Where the keys at hand do not meet a \
            threshold, DIR/pending, or tuf/GUN/pending in the trust directory, holds what others have to sign (hallmark sign) \
            before hallmark publish.
            """
    )

    @OptionGroup var operand: CollectionOperand

    @Option(
        help: ArgumentHelp(
            "On a trust server: a private key, PEM, to import and sign the root with.",
            valueName: "file"
        )
    )
    var rootkey: String?

    @Option(
        help: ArgumentHelp(
            "On a trust server: a certificate of the root key, PEM, for this collection's name.",
            valueName: "file"
        )
    )
    var rootcert: String?

    @Flag(help: "On a trust server: leave the snapshot key to the server, as docker does.")
    var serverManagedSnapshot = false

    @Flag(
        name: [.customShort("p"), .long],
        help: "On a trust server: publish at once. In a directory this is always so."
    )
    var publish = false

    @Option(
        name: .customLong("key"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "A public key, PEM, that signs for root, targets, snapshot or, in a directory, timestamp.",
            valueName: "role=file"
        ),
        transform: RoleOption.init(argument:)
    )
    var keys: [RoleOption] = []

    @Option(
        name: .customLong("threshold"),
        parsing: .singleValue,
        help: ArgumentHelp("How many of a role's keys must sign. Default: 1.", valueName: "role=number"),
        transform: RoleOption.init(argument:)
    )
    var thresholds: [RoleOption] = []

    @Option(
        name: .customLong("expires"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "How long a role's metadata is valid. Default: root=365d, targets=90d (and all it delegates to), snapshot=7d, "
                + "timestamp=1d.",
            valueName: "role=time"
        ),
        transform: RoleOption.init(argument:)
    )
    var validities: [RoleOption] = []

    @Option(
        name: .customLong("margin"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "How long before its expiry a role is signed again. Default: a third of its validity.",
            valueName: "role=time"
        ),
        transform: RoleOption.init(argument:)
    )
    var margins: [RoleOption] = []

    @Option(
        help: ArgumentHelp(
            "In a directory, of new keys: ed25519 (default), ecdsa-p256, ecdsa-p384 or rsa.",
            valueName: "kind"
        )
    )
    var algorithm: KeyAlgorithm?

    @Flag(
        inversion: .prefixedNo,
        help: "Put versions and hashes into file names, so that readers and publishers never meet."
    )
    var consistentSnapshot = true

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.operand.collection.check(
            onlyDirectories: [
                ("--expires", !self.validities.isEmpty), ("--margin", !self.margins.isEmpty),
                ("--algorithm", self.algorithm != nil), ("--no-consistent-snapshot", !self.consistentSnapshot),
            ],
            onlyServers: [
                ("--rootkey", self.rootkey != nil), ("--rootcert", self.rootcert != nil),
                ("--server-managed-snapshot", self.serverManagedSnapshot),
            ]
        )
        guard !self.isShared || (self.rootkey == nil && self.rootcert == nil) else {
            throw ValidationError(
                "--rootkey and --rootcert are for one root key alone, --key and --threshold for several"
            )
        }
        for option in self.keys + self.thresholds where !RoleName.topLevel.contains(option.role) {
            throw ValidationError("\(option.role) is none of root, targets, snapshot and timestamp")
        }
        _ = try self.settings
        _ = try self.threshold(of: .root)
    }

    /// Whether on a trust server somebody else may have keys too.
    private var isShared: Bool { self.operand.collection.isGUN && !(self.keys.isEmpty && self.thresholds.isEmpty) }

    private var settings: RepositorySettings {
        get throws {
            var settings = RepositorySettings()
            for option in self.validities {
                settings[option.role] = .init(validity: try TimeSpan(argument: option.value).seconds)
            }
            for option in self.margins {
                var period = settings[option.role]
                period.margin = try TimeSpan(argument: option.value).seconds
                guard period.margin < period.validity else {
                    throw ValidationError(
                        "\(option.role) would be due the moment it is signed: the margin must be shorter"
                    )
                }
                settings[option.role] = period
            }
            return settings
        }
    }

    private func threshold(of role: RoleName) throws -> Int64 {
        var threshold: Int64 = 1
        for option in self.thresholds {
            guard let number = Int64(option.value), number >= 1 else {
                throw ValidationError("a threshold is a number of 1 or more, not \(option.value)")
            }
            if option.role == role { threshold = number }
        }
        return threshold
    }

    func run() async throws {
        switch try self.operand.collection.changeable(by: "init") {
        case .gun(let gun): try await self.make(gun)
        case .directory(let directory): try await self.make(directory)
        }
    }

    private func makeShared(
        _ collection: ManagedCollection
    ) async throws -> (rootKeyIDs: [KeyID], pending: [SigningCeremony]) {
        var signers: [RoleName: (files: [String], threshold: Int64)] = [:]
        for role in Set((self.keys + self.thresholds).map(\.role)) {
            let files = self.keys.filter { $0.role == role }.map(\.value.expandingTilde)
            signers[role] = (files, try self.threshold(of: role))
        }
        return try await collection.initialize(signers: signers, serverManagesSnapshot: self.serverManagedSnapshot)
    }

    private func make(_ gun: GUN) async throws {
        let collection = try self.trust.managed(gun)
        var report = ChangeReport(gun.text, self.output)
        if self.isShared {
            let made = try await self.makeShared(collection)
            report.add(rootKeys: made.rootKeyIDs)
            report.add(pending: made.pending)
            report.say(
                "Initialized \(gun.text) here with root keys \(made.rootKeyIDs.map(\.text).joined(separator: ", "))"
            )
            report.notice(try self.backup)
            if made.pending.isEmpty, self.publish { report.add(try await collection.publishInitialized()) }
            report.finish()
            return try collection.ceremonies.requireComplete(made.pending)
        }
        let root = try await collection.initialize(
            rootKeyFile: self.rootkey?.expandingTilde,
            rootCertificateFile: self.rootcert?.expandingTilde,
            serverManagesSnapshot: self.serverManagedSnapshot
        )
        report.add(rootKeys: [root])
        report.say("Initialized \(gun.text) here with root key \(root)")
        if self.publish {
            report.add(try await collection.publishInitialized())
        } else {
            report.notice("hallmark publish \(gun.text.shellQuoted) brings it to the trust server")
        }
        report.notice(try self.backup)
        report.finish()
    }

    private func make(_ directory: String) async throws {
        let stored = try await self.trust.signingKeys()
        let repository = StaticRepository(directory: directory, keys: stored)
        try await repository.requireNone()
        var report = ChangeReport(directory, self.output)
        var signers: [RoleName: Signers] = [:]
        let roles = [RoleName.root, .targets, .snapshot, .timestamp]
        for role in roles {
            var keys: [PublicKey] = []
            for option in self.keys where option.role == role { keys.append(try await PublicKey(file: option.value)) }
            signers[role] = .init(keys: keys, threshold: try self.threshold(of: role))
        }
        let bare = roles.filter { signers[$0]?.keys.isEmpty ?? true }
        let made = try await stored.generate((self.algorithm ?? .ed25519).algorithm, for: bare)
        for role in bare {
            guard let key = made[role] else { continue }
            report.add(newKey: key.id, for: role)
            signers[role] = .init(keys: [key], threshold: try self.threshold(of: role))
        }
        let outcome = try await repository.create(
            signers: signers,
            settings: try self.settings,
            isConsistent: self.consistentSnapshot
        )
        try PublishReport.write(outcome, directory: directory, to: &report)
        report.notice(try self.backup)
        report.finish()
    }

    private var backup: String {
        get throws {
            "Back up \(try self.trust.settings.trustDirectory)/private, and keep the root key in it offline"
        }
    }
}
