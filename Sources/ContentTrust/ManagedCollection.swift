// SPDX-License-Identifier: Apache-2.0

package import Ceremony
package import FoundationEssentials
package import KeyStore
package import NotaryAPI
package import TUF
package import TrustClient

/// A collection on a trust server, in the hands of somebody who publishes it: staged, published and administered as `notary`
/// does, on the same files, so that either may go on where the other stopped.
package struct ManagedCollection: Sendable {
    /// The collection's name.
    package let gun: GUN
    let settings: ClientSettings
    let passphrases: any PassphraseSource
    let now: @Sendable () -> Date

    /// - Parameters:
    ///   - settings: where server, keys and certificates are.
    ///   - passphrases: asked when a key has to sign; staging needs none.
    package init(
        _ gun: GUN,
        settings: ClientSettings,
        passphrases: any PassphraseSource,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.gun = gun
        self.settings = settings
        self.passphrases = passphrases
        self.now = now
    }

    /// What a publish did.
    package struct Publication: Sendable {
        /// The roles that were sent; none when there was nothing to publish.
        package let roles: [RoleName]
        /// Whether the collection is new on the server.
        package let isFirst: Bool
        /// The ids of the root keys of a collection that this publish has made, for pins; empty for one that was there.
        package let newRootKeyIDs: [KeyID]
        /// The metadata that waits for signatures of others.
        package let pending: [SigningCeremony]
    }

    /// What is known and staged.
    package struct Status: Sendable {
        /// What this machine knows of the collection; nil for nothing.
        package let known: KnownCollection?
        /// The changes that wait for the next publish, in order.
        package let staged: [Change]
        /// The places of those that are in metadata which waits for signatures.
        package let waiting: Set<Int>
        /// Metadata that waits for signatures.
        package let ceremonies: [SigningCeremony]
        /// What waits in vain: the versions are published by now.
        package let overtaken: [VersionedName]
    }

    var cache: MetadataCache { MetadataCache(directory: self.settings.trustDirectory) }
    var changelist: Changelist { Changelist(of: self.gun, in: self.cache) }

    /// What waits for signatures here.
    package var ceremonies: CollectionCeremonies { CollectionCeremonies(of: self.gun, in: self.cache) }

    /// Opens the collection for the time that the body runs.
    func open<Result: Sendable>(
        _ body: @Sendable (CollectionPublisher, NotedKeys) async throws -> Result
    ) async throws -> Result {
        let store = try await self.settings.keyStore()
        let keys = NotedKeys(StoredKeys(store, passphrases: self.passphrases))
        return try await CollectionConnection(settings: self.settings, now: self.now).with(self.gun) { client in
            try await body(CollectionPublisher(client, keys: keys), keys)
        }
    }

    /// Refuses the name of an image with its tag, unless a collection of that very name is known here.
    /// - Throws: ``ContentTrustError`` with code `reference`.
    func refuseImageName() async throws {
        guard let hint = self.gun.imageNameHint, try await self.cache.read(.root, of: self.gun) == nil else { return }
        throw ContentTrustError(.reference, "\(self.gun) is not known here. \(hint)")
    }
}

// MARK: - Staging

extension ManagedCollection {
    /// Stages changes behind those that are there: all of them or none. The server is not asked.
    /// - Throws: `TrustClientError` with code `invalid` for a change that no publish could make, or `storage`.
    package func stage(_ changes: [Change]) async throws {
        _ = try await self.append(changes)
    }

    /// Stages changes and publishes all that is staged. When that fails, these changes are taken back; those that were staged
    /// before stay.
    /// - Throws: as ``stage(_:)`` and `publish()`.
    package func publish(_ changes: [Change]) async throws -> Publication {
        let names = try await self.append(changes)
        do {
            return try await self.publish()
        } catch {
            // What stopped the publish is what matters.
            try? await self.changelist.remove(names)
            throw error
        }
    }

    /// What is staged, and what is known of the collection. The server is not asked.
    /// - Throws: `TrustClientError` with code `invalid` for a staged change that cannot be read, `signature` or `storage`.
    package func status() async throws -> Status {
        let entries = try await self.changelist.entries()
        let waiting = Set(try await self.ceremonies.changes())
        return Status(
            known: try await self.cache.known(self.gun),
            staged: entries.map(\.change),
            waiting: Set(entries.indices.filter { waiting.contains(entries[$0].name) }),
            ceremonies: try await self.ceremonies.all(),
            overtaken: try await self.ceremonies.overtaken()
        )
    }

    /// Drops all staged changes, those that cannot be read included, and what waits for signatures.
    /// - Returns: how many there were.
    /// - Throws: `TrustClientError` with code `storage`.
    package func reset() async throws -> Int {
        // What waits first: it is made of what is staged.
        try await self.ceremonies.drop()
        return try await self.changelist.removeAll()
    }

    /// Drops the changes at these places in what is staged: all of them or none.
    /// - Returns: how many there were.
    /// - Throws: `TrustClientError` with code `invalid` for a place where there is none, or `storage`.
    package func reset(at places: [Int]) async throws -> Int {
        try await self.changelist.remove(at: places)
    }

    private func append(_ changes: [Change]) async throws -> [String] {
        try await self.refuseImageName()
        for change in changes { try self.check(change) }
        return try await self.changelist.append(changes, at: self.now())
    }

    /// Says of what can never be published that it cannot now: it would be in the way of all that is staged after it.
    private func check(_ change: Change) throws {
        func refuse(_ reason: String) -> TrustClientError { TrustClientError(.invalid, "\(self.gun): \(reason)") }
        switch change.subject {
        case .target:
            guard change.role.listsTargets, (try? RoleName(notary: change.role.text)) != nil else {
                throw refuse("\(change.role) does not list targets: targets and delegated roles (targets/NAME) do")
            }
            guard !change.path.isEmpty else { throw refuse("a target must have a name") }
            guard change.action != .delete else { return }
            let file = try change.target()
            guard file.length <= JSONValue.integerLimit else {
                throw refuse("\(file.length) bytes are more than metadata can say: \(JSONValue.integerLimit)")
            }
        case .delegation where change.role == Change.allDelegations: return
        case .delegation: _ = try RoleName(notaryDelegation: change.role.text)
        case .witness:
            guard change.role.listsTargets else {
                throw refuse("\(change.role) cannot be witnessed: targets and delegated roles can")
            }
        case .role: throw refuse("keys of \(change.role) are rotated at once, not staged")
        }
    }
}

// MARK: - Publishing

extension ManagedCollection {
    /// Publishes what is staged, and takes it off the changelist once the server has it. A collection that was initialised here
    /// is published for the first time. One that nobody knows is made, with its snapshot key here, as `notary` does, if
    /// anything is staged.
    ///
    /// - Parameter policy: what happens when the keys here are too few.
    /// - Throws: `TrustClientError`; `KeyStoreError` when a key cannot be opened. What is staged stays staged then. `CeremonyError`
    ///   for what is wrong with metadata that waits for signatures.
    package func publish(
        _ policy: CollectionPublisher.CeremonyPolicy = .whereThresholdsAsk
    ) async throws -> Publication {
        try await self.refuseImageName()
        return try await self.open { publisher, keys in
            do {
                return Publication(try await publisher.publish(policy))
            } catch let error as TrustClientError where error.code == .noTrustData {
                guard try await self.cache.read(.root, of: self.gun) == nil else { throw error }
                guard try await !self.changelist.entries().isEmpty else {
                    throw TrustClientError(
                        .noTrustData,
                        "\(error.message), and nothing is staged for it: hallmark init makes a new collection"
                    )
                }
                return try await self.publishNew(publisher, keys)
            }
        }
    }

    /// Publishes a collection that was initialised just now. It stays initialised when that fails, and the error says so.
    /// - Throws: as `publish()`.
    package func publishInitialized() async throws -> Publication {
        do {
            return try await self.publish()
        } catch let error as TrustClientError {
            throw TrustClientError(
                error.code,
                "\(error.message). \(self.gun) is initialized here and not published: hallmark publish tries again",
                refusal: error.refusal,
                serverCode: error.serverCode
            )
        }
    }

    private func publishNew(_ publisher: CollectionPublisher, _ keys: NotedKeys) async throws -> Publication {
        let root = try await self.initialize(publisher, keys, serverManagesSnapshot: false)
        do {
            return Publication(try await publisher.publish(), newRootKeyIDs: [root])
        } catch {
            if Self.isCertainlyUnsent(error) { await self.forgetNew(keys) }
            throw error
        }
    }

    /// Whether the server has certainly not taken what was to be sent when this went wrong. If it may have, new keys are needed.
    static func isCertainlyUnsent(_ error: any Error) -> Bool {
        switch error {
        case let error as TrustClientError: ![.unreachable, .storage, .other].contains(error.code)
        case let error as KeyStoreError: ![.storage, .notFound].contains(error.code)
        default: false
        }
    }

    /// Takes back what a collection has left here that could not be made.
    func forgetNew(_ keys: NotedKeys) async {
        try? await self.cache.remove([.root, .targets, .snapshot], of: self.gun)
        await keys.removeAdded()
    }

    /// Forgets the collection here, with what is staged of it, not its keys; and if wanted deletes it on the server for everybody.
    /// - Throws: `TrustClientError`.
    package func delete(remotely: Bool) async throws {
        guard remotely else {
            try await self.cache.removeAll(of: self.gun)
            return
        }
        try await CollectionConnection(settings: self.settings, now: self.now).with(self.gun) { client in
            try await client.deleteRemote()
        }
    }
}

extension ManagedCollection.Publication {
    init(_ outcome: CollectionPublisher.Outcome, newRootKeyIDs: [KeyID] = []) {
        self.init(
            roles: outcome.roles,
            isFirst: outcome.isFirst,
            newRootKeyIDs: newRootKeyIDs,
            pending: outcome.pending
        )
    }
}
