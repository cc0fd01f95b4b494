// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import KeyStore
import NotaryAPI
package import TUF

/// Brings a collection back whose metadata or root certificates have expired: the same content with new versions and expiries,
/// signed by the same keys.
///
/// What is on the server is verified as an update would verify it, but for its expiry. Nothing that is staged here, and nothing
/// that too few of a role's keys have signed, is ever signed by it.
package struct CollectionRescue: Sendable {
    /// What is asked for.
    package struct Options: Sendable {
        /// What is not in force for this many days from now counts as due.
        package var days = 0
        /// The roles to look after; all for nil.
        package var roles: Set<RoleName>?
        /// Certificates to take the place of those of the same keys; for others a new one is made, as it was made at first.
        package var certificates: [PublicKey] = []

        package init() {}
    }

    let publisher: CollectionPublisher
    let options: Options
    private let view: LoadedCollection
    private let now: Date
    private let certificates: [PublicKey]
    /// What it found, and would do.
    package let plan: RescuePlan

    /// Reads and verifies what is there, and makes the plan.
    /// - Throws: ``TrustClientError``: with code `rollback` when the server has gone back behind what is known here, `unreachable`
    ///   when it cannot be asked.
    package init(_ publisher: CollectionPublisher, _ options: Options = Options()) async throws {
        let lenient = CollectionPublisher(publisher.client.forRescue, keys: publisher.keys)
        self.publisher = lenient
        self.options = options
        self.now = publisher.client.now()
        (self.view, self.plan, self.certificates) = try await lenient.reporting {
            var view = try await lenient.client.update()
            try lenient.requireOnline(view)
            let ring = try await KeyRing(publisher.keys)
            var survey = try RescueSurvey(&view, options, at: publisher.client.now())
            try await survey.run(&view, ring) {
                try await lenient.client.transport.serverKey(for: .snapshot, of: lenient.client.gun)
            }
            return (view, survey.plan(view), survey.certificates)
        }
    }

    /// Publishes what the plan says, all of it or nothing.
    ///
    /// Where a threshold asks for more signatures than there are keys here, what was made waits in `tuf/<GUN>/pending` for others
    /// to sign; ``resume(_:)`` publishes it then.
    /// - Throws: ``TrustClientError``: with code `noSigningKey` when the plan has obstacles, `conflict` when somebody else has
    ///   published since it was made.
    package func perform() async throws -> CollectionPublisher.Outcome {
        guard self.plan.obstacles.isEmpty else {
            throw TrustClientError(
                .noSigningKey,
                "\(self.publisher.gun): \(self.plan.obstacles.joined(separator: "; "))"
            )
        }
        return try await self.publisher.reporting {
            guard try await !self.publisher.client.ceremonies.areGoingOn() else {
                throw CollectionCeremonies.busy(self.publisher.gun)
            }
            var ring = try await KeyRing(self.publisher.keys)
            var editor = try CollectionEditor(self.view, at: self.now)
            for role in self.plan.roles where role.step == .sign || role.step == .wait {
                switch role.role {
                case .root:
                    try self.requireFaithful(self.view.trusted.root)
                    editor.renewRoot()
                    let replaced = Set(role.certificates.filter(\.isReplaced).map(\.id))
                    if !replaced.isEmpty {
                        let keys = try await Self.keys(
                            after: editor.root,
                            replacing: replaced,
                            by: self.certificates,
                            &ring,
                            of: self.publisher.gun,
                            at: self.now
                        )
                        try editor.replaceKeys(of: .root, with: keys)
                    }
                case .snapshot: continue
                default:
                    try self.requireFaithful(self.view.trusted.targets[role.role])
                    try await editor.renew(role.role)
                }
            }
            do {
                return try await self.publisher.send(&editor, &ring, .whereThresholdsAsk, isFirst: false)
            } catch let error as TrustClientError where error.code == .rejected && self.plan.hasExpiredCertificate {
                throw TrustClientError(
                    .rejected,
                    "\(error.message) notary-server takes nothing more for a collection whose root certificate has expired: take "
                        + "it along to hallmark serve with hallmark move, which renews the certificate on the way",
                    serverCode: error.serverCode
                )
            }
        }
    }

    /// Publishes a rescue that waited for the signatures of others.
    /// - Returns: nil when nothing waits.
    package static func resume(_ publisher: CollectionPublisher) async throws -> CollectionPublisher.Outcome? {
        let lenient = CollectionPublisher(publisher.client.forRescue, keys: publisher.keys)
        return try await lenient.reporting {
            guard try await lenient.client.ceremonies.areGoingOn() else { return nil }
            return try await lenient.advance()
        }
    }

    /// The keys of the next root: those of this one, with a new certificate where the old one lapses.
    /// - Parameters:
    ///   - replaced: the ids of those.
    ///   - given: certificates to take instead of making new ones.
    static func keys(
        after root: Root,
        replacing replaced: Set<KeyID>,
        by given: [PublicKey] = [],
        _ ring: inout KeyRing,
        of gun: GUN,
        at now: Date
    ) async throws -> [PublicKey] {
        var keys: [PublicKey] = []
        // In the order of the root's list, which readers may show.
        for id in root.roles[.root]?.keyIDs ?? [] {
            guard let key = try root.keys(of: .root).keys.first(where: { $0.id == id }) else { continue }
            guard replaced.contains(id) else {
                keys.append(key)
                continue
            }
            let canonical = try key.canonicalID
            if let given = given.first(where: { (try? $0.canonicalID) == canonical }) {
                keys.append(given)
            } else {
                keys.append(try await ring.privateKey(of: key).rootCertificate(for: gun.text, at: now))
            }
        }
        return keys
    }

    /// Refuses to sign what would not come out as it went in: something that this version cannot write again.
    private func requireFaithful<Content: Payload>(_ metadata: Verified<Content>?) throws {
        guard let metadata else { return }
        let original = try JSONParser.parse(metadata.bytes)["signed"] ?? .null
        guard CanonicalJSON.encode(original) == metadata.payload.canonical(format: metadata.format) else {
            throw TrustClientError(
                .invalid,
                "\(self.publisher.gun): version \(metadata.payload.version) of metadata that would have to be signed again holds "
                    + "something that this version cannot write as it was; nothing is published"
            )
        }
    }
}
