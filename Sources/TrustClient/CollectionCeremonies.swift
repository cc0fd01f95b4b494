// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import DurableFiles
package import NotaryAPI
package import TUF

/// What of a collection waits for signatures on this machine, in `tuf/<GUN>/pending` beside what is trusted of it, and who may
/// give them. No server is asked: who holds a key need not reach one.
package struct CollectionCeremonies: Sendable {
    /// The collection.
    package let gun: GUN
    private let cache: MetadataCache

    /// Takes a collection and the trust directory where it is kept.
    package init(of gun: GUN, in cache: MetadataCache) {
        self.gun = gun
        self.cache = cache
    }

    /// The directory that the folder of pending files is in.
    package var directory: String { self.cache.directory(of: self.gun) }

    /// The path of a file that waits.
    package func path(of ceremony: SigningCeremony) -> String {
        "\(self.directory)/\(PendingFolder.path(of: ceremony.role, version: ceremony.metadata.version ?? 0))"
    }

    private var folder: PendingFolder { PendingFolder(PrivateFiles(self.directory), format: .notary) }

    /// Works in the folder while no other process does.
    func withFolder<Result: Sendable>(
        _ work: @escaping @Sendable (PendingFolder) throws -> Result
    ) async throws -> Result {
        let (folder, directory) = (self.folder, self.directory)
        return try await TrustDirectory.run {
            guard DurableFile.isDirectory(directory) else { return try work(folder) }
            return try TrustDirectory.locked(directory) { try work(folder) }
        }
    }

    /// Whether anything waits.
    package func areGoingOn() async throws -> Bool { try await self.withFolder { try !$0.names().isEmpty } }

    /// The names of staged changes that are in metadata that waits.
    package func changes() async throws -> [String] { try await self.withFolder { try $0.changes() } }

    func metadata() async throws -> [RoleName: PendingMetadata] { try await self.withFolder { try $0.metadata() } }

    /// Drops all that waits, and the signatures on it. What is staged stays staged.
    package func drop() async throws { try await self.withFolder { try $0.removeAll() } }

    /// For who has nothing more to say where signatures are missing.
    /// - Parameter pending: what a publish has left to wait.
    /// - Throws: ``TrustClientError`` with code `incomplete` that names the files and whose signatures are missing.
    package func requireComplete(_ pending: [SigningCeremony]) throws {
        guard !pending.isEmpty else { return }
        let missing = pending.map { "\(self.path(of: $0)): \(CeremonyReport($0).missing)" }
        throw TrustClientError(
            .incomplete,
            "nothing is published of what waits for signatures: \(missing.joined(separator: "; ")). Hand the file around for hallmark "
                + "sign, then hallmark publish \(self.gun)"
        )
    }

    /// Puts metadata where it waits.
    /// - Throws: ``TrustClientError`` with code `invalid` when other metadata waits already.
    func begin(_ ceremonies: [SigningCeremony], changes: [String]) async throws {
        let (gun, directory) = (self.gun, self.directory)
        try await TrustDirectory.run { try DurableFile.makeDirectory(directory) }
        try await self.withFolder { folder in
            guard try folder.names().isEmpty else { throw Self.busy(gun) }
            // What a crash has left there belongs to nothing.
            try folder.removeAll()
            try folder.write(ceremonies.map { ($0.role, $0.metadata) }, changes: changes)
        }
    }

    static func busy(_ gun: GUN) -> TrustClientError {
        TrustClientError(
            .invalid,
            "\(gun): other changes wait for signatures (hallmark status). Publish those first, or reset them"
        )
    }
}

// MARK: - For who holds a key

extension CollectionCeremonies {
    /// What waits and, as far as is known here, can no longer be published: its version is, or a later one.
    package func overtaken() async throws -> [VersionedName] {
        var names: [VersionedName] = []
        for name in try await self.withFolder({ try $0.names() }) {
            guard let bytes = try await self.cache.read(name.role, of: self.gun),
                let known = try? UnverifiedMetadata(bytes, format: .notary).claimedVersion, known >= name.version
            else { continue }
            names.append(name)
        }
        return names
    }

    /// The ceremonies that are going on, against what is trusted here; not those that are overtaken.
    /// - Throws: `CeremonyError`; ``TrustClientError`` with code `signature` for a damaged root, or `storage`.
    package func all() async throws -> [SigningCeremony] {
        let overtaken = Set(try await self.overtaken().map(\.role))
        let pending = try await self.metadata().filter { !overtaken.contains($0.key) }
        guard !pending.isEmpty else { return [] }
        return try await self.reporting {
            let authority = try await self.authority(pending)
            return try pending.sorted { $0.key < $1.key }.map { try authority.ceremony($0.value, $0.key) }
        }
    }

    /// The ceremony of metadata in a file, which may be a copy of what waits here or come from another machine, and the trusted
    /// metadata that it would follow.
    /// - Parameter given: metadata that whoever signs trusts besides what is kept here: a root, or a role that delegates.
    /// - Throws: `CeremonyError` with code `invalid` when it is no version that may come next; ``TrustClientError`` when it is not
    ///   known who may sign it.
    package func ceremony(
        of metadata: PendingMetadata,
        role: RoleName,
        given: [PendingMetadata] = []
    ) async throws -> (ceremony: SigningCeremony, trusted: PendingMetadata?) {
        try await self.reporting {
            var pending = (try? await self.metadata()) ?? [:]
            pending[role] = metadata
            let authority = try await self.authority(pending, given: given, for: role)
            let trusted = try await self.trusted(role, authority)
            let root = given.first { $0.type == "root" }
            if role != .root || root == nil {
                try self.requireNext(metadata, role, after: trusted)
            }
            return (try authority.ceremony(metadata, role), role == .root ? root ?? trusted : trusted)
        }
    }

    private func requireNext(_ metadata: PendingMetadata, _ role: RoleName, after trusted: PendingMetadata?) throws {
        if let known = trusted?.version, let version = metadata.version, version <= known {
            throw CeremonyError(
                .invalid,
                "version \(version) of \(role) cannot follow version \(known), which is known here: it is published already, or "
                    + "another one is"
            )
        }
        guard role != .root || trusted != nil || metadata.version == 1 else {
            throw CeremonyError(
                .invalid,
                "version \(metadata.version ?? 0) of the root follows another that is not known here: read \(self.gun) first, or "
                    + "say which root you trust"
            )
        }
    }

    /// What is kept here of a role, if those who may have signed it.
    private func trusted(_ role: RoleName, _ authority: CollectionAuthority) async throws -> PendingMetadata? {
        guard let bytes = try await self.cache.read(role, of: self.gun) else { return nil }
        if role == .root { return try PendingMetadata(bytes, format: .notary) }
        let metadata = try UnverifiedMetadata(bytes, format: .notary)
        // It may have been signed by the keys of before, which the root says that is kept beside it.
        let keys = [try? authority.keys(of: role).keys, try? await self.root()?.keys(of: role)].compactMap { $0 }
        guard keys.contains(where: { (try? $0.verify(metadata)) != nil }) else { return nil }
        return try PendingMetadata(bytes, format: .notary)
    }

    private func root() async throws -> Root? {
        guard let bytes = try await self.cache.read(.root, of: self.gun) else { return nil }
        let root = try UnverifiedMetadata(bytes, format: .notary)
        return try RootTrust(gun: self.gun.text).verifyStored(root).payload
    }

    /// - Parameter role: whose delegators are looked for.
    private func authority(
        _ pending: [RoleName: PendingMetadata],
        given: [PendingMetadata] = [],
        for role: RoleName? = nil
    ) async throws -> CollectionAuthority {
        var root = try await self.root()
        if let trusted = given.first(where: { $0.type == "root" }) { root = try trusted.payload() }
        var targets: [RoleName: Targets] = [:]
        for role in role.map({ [$0] }) ?? Array(pending.keys) {
            for ancestor in role.notaryAncestors where targets[ancestor] == nil {
                targets[ancestor] = try await self.kept(ancestor, root, targets)
            }
            // Who says that he trusts a role's metadata vouches for whom it delegates to.
            let delegator = try given.lazy.filter { $0.type == "targets" }
                .map { try $0.payload(as: Targets.self) }.first { $0.delegations[role] != nil }
            if let parent = role.notaryParent, let delegator { targets[parent] = delegator }
        }
        return try CollectionAuthority(gun: self.gun, root: root, targets: targets, pending: pending)
    }

    private func kept(_ role: RoleName, _ root: Root?, _ targets: [RoleName: Targets]) async throws -> Targets? {
        guard let bytes = try await self.cache.read(role, of: self.gun) else { return nil }
        let keys = try role.notaryParent.map { try targets[$0]?.delegations.keys(of: role) } ?? root?.keys(of: role)
        guard let keys else { return nil }
        return try? UnverifiedMetadata(bytes, format: .notary).verified(as: Targets.self, by: keys).payload
    }

    private func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as TUFError {
            throw TrustClientError(error, context: self.gun.text)
        }
    }
}

extension RoleName {
    /// The roles above a delegated one, from `targets` down.
    var notaryAncestors: [RoleName] {
        var ancestors: [RoleName] = []
        var parent = self.notaryParent
        while let role = parent {
            ancestors.append(role)
            parent = role.notaryParent
        }
        return ancestors.reversed()
    }
}

extension CollectionClient {
    /// What waits for signatures here.
    package var ceremonies: CollectionCeremonies { CollectionCeremonies(of: self.gun, in: self.cache) }
}
