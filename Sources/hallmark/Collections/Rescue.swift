// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import KeyStore
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// `hallmark rescue`
struct Rescue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring back a collection whose metadata or root certificate has expired.",
        discussion: """
            Signs the same content again, with new versions and expiries and the keys that it has: nothing else of it changes, \
            and nothing that is staged is published. What is on the server is verified as ever, but for its expiry. A root \
            certificate that its own key has issued is made anew; for others --root-certificate names the successor.

            Shows what has expired and what it would do, asks, and does it as one publish. Where a role takes more signatures \
            than there are keys here, tuf/GUN/pending in the trust directory holds what others have to sign (hallmark sign); \
            hallmark rescue publishes it then.

            In a directory: signs every role again that is due, the root included, with the keys at hand.

            Exit code 1 when keys are missing, 12 when signatures are, 14 when the server has gone back behind what is known here.
            """
    )

    @OptionGroup var operand: CollectionOperand

    @Flag(name: [.customShort("n"), .long], help: "Only show what has expired and what would be done.")
    var dryRun = false

    @Flag(name: [.customShort("y"), .long], help: "Do not ask.")
    var yes = false

    @Option(help: ArgumentHelp("Renew as well what expires within this many days.", valueName: "days"))
    var within = 0

    @Option(
        name: .customLong("role"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "Only this role; may be repeated. The snapshot and the timestamp follow.",
            valueName: "role"
        ),
        completion: .roles
    )
    var roles: [String] = []

    @Option(
        name: [.customShort("k"), .customLong("key")],
        parsing: .singleValue,
        help: ArgumentHelp(
            "A private key to sign with besides those in the trust directory, PEM; may be repeated. It is not imported.",
            valueName: "file"
        )
    )
    var keyFiles: [String] = []

    @Option(
        name: .customLong("root-certificate"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "A certificate that takes the place of that of the same root key, PEM; may be repeated.",
            valueName: "file"
        )
    )
    var certificateFiles: [String] = []

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (0...36500).contains(self.within) else { throw ValidationError("--within takes 0 to 36500 days") }
        for role in self.roles { try Self.check(role) }
        try self.operand.collection.check(onlyServers: [
            ("--dry-run", self.dryRun), ("--within", self.within != 0), ("--role", !self.roles.isEmpty),
            ("--key", !self.keyFiles.isEmpty), ("--root-certificate", !self.certificateFiles.isEmpty),
        ])
    }

    private static func check(_ text: String) throws {
        let role = try? RoleName(notary: text)
        guard let role, role == .root || role.listsTargets else {
            throw ValidationError("--role is root, targets or a delegated role (targets/NAME), not \(text)")
        }
    }

    func run() async throws {
        switch try self.operand.collection.changeable(by: "rescue") {
        case .gun(let gun): try await self.rescue(gun)
        case .directory(let directory): try await self.rescue(directory)
        }
    }

    private func rescue(_ directory: String) async throws {
        let repository = try await self.trust.repository(directory)
        let outcome = try await repository.refresh(includingOthers: true, includingRoot: true)
        var report = ChangeReport(directory, self.output)
        report.add(published: outcome.published)
        if outcome.published.isEmpty { report.say("Nothing is due.") }
        report.finish()
    }

    private func rescue(_ gun: GUN) async throws {
        let collection = try self.trust.managed(gun)
        var request = ManagedCollection.RescueRequest()
        request.days = self.within
        request.roles = self.roles.isEmpty ? nil : Set(self.roles.map { RoleName($0) })
        request.keyFiles = self.keyFiles.map(\.expandingTilde)
        request.certificateFiles = self.certificateFiles.map(\.expandingTilde)
        let (isJSON, isDryRun, isYes) = (self.output.output == .json, self.dryRun, self.yes)
        let rescue = try await collection.rescue(request) { plan in
            if !isJSON { RescueReport.show(plan, of: gun, isDryRun: isDryRun) }
            guard plan.obstacles.isEmpty else {
                if isJSON { JSONOutput.write(RescueReport(gun, plan)) }
                throw TrustClientError(.noSigningKey, "\(gun): \(plan.obstacles.joined(separator: "; "))")
            }
            guard !plan.signed.isEmpty || plan.roles.contains(where: { $0.role == .snapshot && $0.step == .sign })
            else {
                if isJSON { JSONOutput.write(RescueReport(gun, plan)) }
                throw TrustClientError(
                    .expired,
                    "\(gun): only what the trust server signs has expired, and it has not renewed it: ask who runs it. The rest "
                        + "needs no rescue"
                )
            }
            guard !isDryRun else { return false }
            if !isYes {
                try await Confirmation.require(
                    "Sign this again and publish it?",
                    "say --yes to go on without being asked, or --dry-run to only look",
                    otherwise: "nothing is published"
                )
            }
            return true
        }
        try self.report(rescue, of: gun, collection)
    }

    private func report(
        _ rescue: ManagedCollection.Rescue,
        of gun: GUN,
        _ collection: ManagedCollection
    ) throws {
        if self.output.output == .json {
            JSONOutput.write(RescueReport(gun, rescue))
        } else if rescue.plan?.isNeeded == false {
            print("Nothing of \(gun) has expired\(self.within > 0 ? ", or will within \(self.within) days" : "").")
        } else if !rescue.published.isEmpty {
            let roles = rescue.published.map(\.text).joined(separator: ", ")
            print("Successfully rescued \(gun): published \(roles)")
        }
        if !rescue.pending.isEmpty {
            let files = rescue.pending.map { collection.ceremonies.path(of: $0) }.joined(separator: ", ")
            throw TrustClientError(
                .incomplete,
                "nothing is published yet: other holders of keys have to sign \(files) with hallmark sign; then run hallmark "
                    + "rescue \(gun) again"
            )
        }
        if let refusal = rescue.refusal {
            throw TrustClientError(
                refusal.code,
                "what was signed here is published, and readers still refuse the collection: \(refusal.message)",
                refusal: refusal.refusal
            )
        }
    }
}
