// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import TUF

/// What of a collection has expired, who can sign it again, and what a rescue would do.
package struct RescuePlan: Sendable {
    /// How long something is still in force.
    package enum Condition: String, Sendable, Hashable {
        /// Longer than was asked for.
        case current
        /// Not as long as was asked for.
        case expiring
        /// It is past.
        case expired
    }

    /// Who holds as many of a role's keys as must sign.
    package enum Holder: String, Sendable, Hashable {
        /// Whoever runs the rescue.
        case here
        /// The trust server.
        case server
        /// Others, or too few of them are here.
        case elsewhere
    }

    /// What a rescue does about a role.
    package enum Step: String, Sendable, Hashable {
        /// Nothing: it is current, and nothing else touches it.
        case none
        /// It is signed again.
        case sign
        /// It is made, and waits for the signatures of others.
        case wait
        /// The server makes it anew.
        case server
        /// Nothing, for want of keys.
        case leave
    }

    /// A root certificate that is past, or soon will be.
    package struct LapsedCertificate: Sendable, Hashable {
        /// The id that the metadata names it by.
        package let id: KeyID
        /// The id of its key, which the file of the private key is named by.
        package let keyID: KeyID
        /// When it ends.
        package let expires: Date
        /// Whether a new certificate of the same key takes its place.
        package let isReplaced: Bool
    }

    /// One role.
    package struct Role: Sendable {
        /// The role.
        package let role: RoleName
        /// Its version now.
        package let version: Int64
        /// When it stops being trusted.
        package let expires: Expiry
        /// The worst of the metadata and, for the root, its certificates.
        package let condition: Condition
        /// The canonical ids of its keys.
        package let keyIDs: [KeyID]
        /// How many of them must sign.
        package let threshold: Int
        /// Who holds them.
        package let holder: Holder
        /// What is done.
        package let step: Step
        /// The root certificates that are past, or soon will be; empty for other roles.
        package var certificates: [LapsedCertificate] = []
    }

    /// The roles, each after the one that delegates to it.
    package let roles: [Role]
    /// What stands in the way: roles that must be signed and whose keys are not here, and certificates that cannot be replaced.
    package let obstacles: [String]
    /// The time that this was found at.
    package let now: Date
    /// What a reader should know besides: roles that too few of their keys have signed, which a rescue never touches.
    package let warnings: [CollectionWarning]

    /// The roles that would be signed.
    package var signed: [RoleName] { self.roles.filter { $0.step == .sign || $0.step == .wait }.map(\.role) }
    /// Whether a root certificate is past already. docker and notary refuse a root with no other, also one that they know and that
    /// others replace: who has it in their trust directory has to remove it there.
    package var hasExpiredCertificate: Bool {
        self.roles.contains { $0.certificates.contains { $0.expires < self.now } }
    }
    /// Whether there is anything that somebody has to do.
    package var isNeeded: Bool { self.roles.contains { $0.condition != .current } }
}
