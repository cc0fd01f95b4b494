// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
import TUF

/// Goes through a collection that may have expired, and decides role by role what is to be done.
struct RescueSurvey {
    private let options: CollectionRescue.Options
    private let now: Date
    private let root: Root
    private let rootKeys: RoleKeys
    private var roles: [RescuePlan.Role] = []
    private var obstacles: [String] = []
    /// The certificates that were given and are used.
    private(set) var certificates: [PublicKey] = []

    init(_ view: inout LoadedCollection, _ options: CollectionRescue.Options, at now: Date) throws {
        guard let root = view.trusted.root?.payload else { throw TUFError(.order, "the collection is not loaded") }
        self.options = options
        self.now = now
        self.root = root
        self.rootKeys = try RootTrust(gun: view.gun.text).keys(of: root)
    }

    func plan(_ view: LoadedCollection) -> RescuePlan {
        RescuePlan(roles: self.roles, obstacles: self.obstacles, now: self.now, warnings: view.warnings)
    }

    /// - Parameter serverKey: the server's key for snapshots, asked for only where it matters.
    mutating func run(
        _ view: inout LoadedCollection,
        _ ring: KeyRing,
        serverKey: () async throws -> PublicKey
    ) async throws {
        try self.surveyRoot(view.gun.text, ring)
        try await self.surveyTargets(&view, ring)
        try await self.surveySnapshot(view, ring, serverKey)
        self.surveyTimestamp(view)
    }

    // MARK: Time

    private func condition(_ expires: Date) -> RescuePlan.Condition {
        if expires < self.now { return .expired }
        return expires < self.now.addingTimeInterval(Double(self.options.days) * 86400) ? .expiring : .current
    }

    private func isWanted(_ role: RoleName) -> Bool { self.options.roles?.contains(role) ?? true }

    private func holder(_ keys: RoleKeys, _ ring: KeyRing) -> RescuePlan.Holder {
        ring.meets(keys) ? .here : .elsewhere
    }

    private func ids(_ keys: RoleKeys) -> [KeyID] { keys.keys.map { (try? $0.canonicalID) ?? $0.id } }

    private mutating func add(
        _ role: RoleName,
        _ payload: some Payload,
        _ keys: RoleKeys,
        _ condition: RescuePlan.Condition,
        _ holder: RescuePlan.Holder,
        _ step: RescuePlan.Step,
        _ certificates: [RescuePlan.LapsedCertificate] = []
    ) {
        self.roles.append(
            RescuePlan.Role(
                role: role,
                version: payload.version,
                expires: payload.expires,
                condition: condition,
                keyIDs: self.ids(keys),
                threshold: keys.threshold,
                holder: holder,
                step: step,
                certificates: certificates
            )
        )
    }

    /// What is done about a role that is due.
    private mutating func step(_ keys: RoleKeys, _ ring: KeyRing, isRequired: Bool = true) -> RescuePlan.Step {
        if ring.meets(keys) { return .sign }
        if keys.threshold > 1 { return .wait }
        if isRequired { self.obstacles.append(ring.missing(keys).message) }
        return .leave
    }

    // MARK: Roles

    private mutating func surveyRoot(_ gun: String, _ ring: KeyRing) throws {
        let certificates = try self.lapsedCertificates(gun, ring)
        let ends = certificates.map { self.condition($0.expires) }
        let own = self.condition(self.root.expires.date)
        let all = ends + [own]
        let condition: RescuePlan.Condition =
            all.contains(.expired) ? .expired : all.contains(.expiring) ? .expiring : .current
        var step = RescuePlan.Step.none
        if self.isWanted(.root), own != .current || certificates.contains(where: \.isReplaced) {
            step = self.step(self.rootKeys, ring)
        }
        self.add(.root, self.root, self.rootKeys, condition, self.holder(self.rootKeys, ring), step, certificates)
        guard self.isWanted(.root) else { return }
        // Readers count only signatures of certificates that are in force.
        let lasting = self.rootKeys.keys.filter { key in !certificates.contains { $0.id == key.id && !$0.isReplaced } }
        guard Set(lasting.map { (try? $0.canonicalID) ?? $0.id }).count < self.rootKeys.threshold else { return }
        for certificate in certificates where !certificate.isReplaced {
            self.obstacles.append(
                "the root certificate \(certificate.id) ends on \(Expiry(certificate.expires)), and its key \(certificate.keyID) is "
                    + "not here to make a new one, or it was issued by an authority: give its successor, a certificate of the "
                    + "same key in the name of \(gun)"
            )
        }
    }

    private mutating func lapsedCertificates(
        _ gun: String,
        _ ring: KeyRing
    ) throws -> [RescuePlan.LapsedCertificate] {
        var lapsed: [RescuePlan.LapsedCertificate] = []
        for given in self.options.certificates {
            try given.requireRootCertificate(for: gun, at: self.now)
            let id = try given.canonicalID
            guard self.rootKeys.keys.contains(where: { (try? $0.canonicalID) == id }) else {
                throw TrustClientError(
                    .invalid,
                    "\(gun): the certificate given is of the key \(id), which is none of the root's: a rescue changes no keys"
                )
            }
        }
        for key in self.rootKeys.keys {
            guard let certificate = key.certificate, self.condition(certificate.notAfter) != .current else { continue }
            let id = try key.canonicalID
            let given = self.options.certificates.first { (try? $0.canonicalID) == id && $0.id != key.id }
            if let given { self.certificates.append(given) }
            // Only what was made with nothing but the key can be made again with nothing but the key.
            let canBeMade = key.isSelfSigned && !ring.held([key]).isEmpty
            lapsed.append(
                RescuePlan.LapsedCertificate(
                    id: key.id,
                    keyID: id,
                    expires: certificate.notAfter,
                    isReplaced: given != nil || canBeMade
                )
            )
        }
        return lapsed
    }

    private mutating func surveyTargets(_ view: inout LoadedCollection, _ ring: KeyRing) async throws {
        var found: [(role: RoleName, targets: Targets, keys: RoleKeys)] = []
        for role in [.targets] + (try await view.delegations()).map(\.role.name) {
            guard let targets = view.trusted.targets[role]?.payload else { continue }
            found.append((role, targets, try view.trusted.keys(of: role)))
        }
        for (role, targets, keys) in found {
            let condition = self.condition(targets.expires.date)
            var step = RescuePlan.Step.none
            if condition != .current, self.isWanted(role) {
                // Readers leave out a delegated role that has expired, and go on with the rest.
                let isRequired = role == .targets || self.options.roles != nil
                step = self.step(keys, ring, isRequired: isRequired)
            }
            self.add(role, targets, keys, condition, self.holder(keys, ring), step)
        }
        for role in self.options.roles ?? [] where role.isDelegation && !found.contains(where: { $0.role == role }) {
            self.obstacles.append("\(role) is not delegated, or has no metadata that its keys have signed")
        }
        // Where nothing else is to be done, a role that is left is what the caller came for.
        let left = self.roles.filter { $0.step == .leave && $0.role.isDelegation }
        if !self.roles.contains(where: { $0.step == .sign || $0.step == .wait }), self.obstacles.isEmpty {
            for role in left {
                guard let keys = found.first(where: { $0.role == role.role })?.keys else { continue }
                self.obstacles.append(ring.missing(keys).message)
            }
        }
    }

    private mutating func surveySnapshot(
        _ view: LoadedCollection,
        _ ring: KeyRing,
        _ serverKey: () async throws -> PublicKey
    ) async throws {
        guard let snapshot = view.trusted.snapshot?.payload else { return }
        let keys = try self.root.keys(of: .snapshot)
        let condition = self.condition(snapshot.expires.date)
        let isTouched = self.roles.contains { $0.step == .sign || $0.step == .wait }
        guard isTouched || condition == .expired || (condition == .expiring && ring.meets(keys)) else {
            return self.add(.snapshot, snapshot, keys, condition, self.holder(keys, ring), .none)
        }
        if CollectionEditor.isSnapshotOurs(keys, ring) {
            let step = self.step(keys, ring)
            return self.add(.snapshot, snapshot, keys, condition, self.holder(keys, ring), step)
        }
        let server = try await serverKey()
        guard keys.keys.contains(where: { $0.id == server.id }) else {
            _ = self.step(keys, ring)
            return self.add(.snapshot, snapshot, keys, condition, .elsewhere, .leave)
        }
        self.add(.snapshot, snapshot, keys, condition, .server, .server)
    }

    private mutating func surveyTimestamp(_ view: LoadedCollection) {
        guard let timestamp = view.trusted.timestamp?.payload, let keys = try? self.root.keys(of: .timestamp) else {
            return
        }
        let condition = self.condition(timestamp.expires.date)
        let isTouched = self.roles.contains { $0.step == .sign || $0.step == .wait }
        // It lives for days only: that it ends soon says nothing.
        self.add(
            .timestamp,
            timestamp,
            keys,
            condition == .expired ? .expired : .current,
            .server,
            isTouched || condition == .expired ? .server : .none
        )
    }
}
