// SPDX-License-Identifier: Apache-2.0

import Ceremony
import ContentTrust
import NotaryAPI
import TUF
import TrustClient

/// What a rescue found and did, as JSON or as a table.
struct RescueReport: Encodable {
    struct Certificate: Encodable {
        let id: String
        let key: String
        let expires: String
        let replaced: Bool
    }

    struct Role: Encodable {
        let role: String
        let version: Int64
        let expires: String
        let condition: String
        let keys: [String]
        let threshold: Int
        let holder: String
        let step: String
        let certificates: [Certificate]?
    }

    let name: String
    let roles: [Role]?
    let obstacles: [String]
    let warnings: [String]
    let published: [String]
    let pending: [CeremonyReport]?

    init(_ gun: GUN, _ plan: RescuePlan?, published: [RoleName] = [], pending: [SigningCeremony] = []) {
        self.name = gun.text
        self.roles = plan?.roles.map { Role($0) }
        self.obstacles = plan?.obstacles ?? []
        self.warnings = plan?.warnings.map(\.description) ?? []
        self.published = published.map(\.text)
        self.pending = pending.isEmpty ? nil : pending.map { CeremonyReport($0) }
    }

    init(_ gun: GUN, _ rescue: ManagedCollection.Rescue) {
        self.init(gun, rescue.plan, published: rescue.published, pending: rescue.pending)
    }

    /// The table that people decide on.
    static func show(_ plan: RescuePlan, of gun: GUN, isDryRun: Bool) {
        let rows = plan.roles.map { role in
            [
                role.role.text, "\(role.version)", role.expires.text, role.condition.rawValue,
                self.holder(role), self.step(role, isDryRun: isDryRun),
            ]
        }
        print(Table(["ROLE", "VERSION", "EXPIRES", "STATE", "KEYS", "STEP"], rows).text)
        for certificate in plan.roles.flatMap(\.certificates) {
            let successor = certificate.isReplaced ? ": a new one of the same key takes its place" : ""
            print("root certificate \(certificate.id) ends on \(Expiry(certificate.expires))\(successor)")
        }
        if plan.hasExpiredCertificate {
            Notice.write(
                "a root certificate has expired already: docker and notary that know this root follow only after "
                    + "tuf/\(gun)/metadata/root.json is removed from their trust directory; hallmark, and whoever knows nothing of it "
                    + "yet, follow by themselves"
            )
        }
        for role in plan.roles where role.step == .leave && role.role.isDelegation {
            let ids = role.keyIDs.map(\.text).joined(separator: ", ")
            Notice.write(
                "\(role.role) stays expired: who has the key \(ids) can rescue it, and who has that of its delegator can remove it"
            )
        }
        for warning in plan.warnings { Notice.write("\(warning)") }
    }

    private static func holder(_ role: RescuePlan.Role) -> String {
        let count = role.threshold > 1 ? "\(role.threshold) of \(role.keyIDs.count), " : ""
        return count + role.holder.rawValue
    }

    private static func step(_ role: RescuePlan.Role, isDryRun: Bool) -> String {
        switch role.step {
        case .none: "-"
        case .sign: "sign version \(role.version &+ 1)"
        case .wait: "have version \(role.version &+ 1) signed"
        case .server: "the server makes it"
        case .leave: "key is not here"
        }
    }
}

extension RescueReport.Role {
    init(_ role: RescuePlan.Role) {
        self.init(
            role: role.role.text,
            version: role.version,
            expires: role.expires.text,
            condition: role.condition.rawValue,
            keys: role.keyIDs.map(\.text),
            threshold: role.threshold,
            holder: role.holder.rawValue,
            step: role.step.rawValue,
            certificates: role.certificates.isEmpty
                ? nil
                : role.certificates.map {
                    .init(id: $0.id.text, key: $0.keyID.text, expires: Expiry($0.expires).text, replaced: $0.isReplaced)
                }
        )
    }
}
