// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import NotaryAPI
package import TUF

/// The way to one trusted collection: what is known of it on disk, and the server that has news of it.
package struct CollectionClient: Sendable {
    /// The collection's name.
    package let gun: GUN
    /// The way to its server.
    package let transport: any TrustTransport
    /// What was trusted of it before.
    package let cache: MetadataCache
    /// Which root is accepted for it.
    package private(set) var trust: RootTrust
    /// Who has to vouch for its root, by what was said before its server was asked: all of them.
    package let pins: [RootPin]
    /// How long ago, in seconds, the server must have confirmed what is read without it; nil for as long as it is in force.
    let maximumAge: TimeInterval?
    /// Whether what has expired is read as well, and nothing of it kept: see ``forRescue``.
    let ignoresExpiry: Bool
    /// The time that everything is compared with.
    package let now: @Sendable () -> Date

    /// Makes a client of a collection.
    /// - Parameters:
    ///   - gun: the collection's name.
    ///   - transport: the way to its server.
    ///   - cache: what was trusted of it before.
    ///   - anchor: which root to accept when none is known and none is pinned.
    ///   - pins: who has to vouch for the root, all of them.
    ///   - maximumAge: how long ago, in seconds, the server must have confirmed what is read without it.
    ///   - now: the time.
    package init(
        gun: GUN,
        transport: any TrustTransport,
        cache: MetadataCache,
        anchor: RootAnchor = .firstUse,
        pins: [RootPin] = [],
        maximumAge: TimeInterval? = nil,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.gun = gun
        self.transport = transport
        self.cache = cache
        self.trust = RootTrust(gun: gun.text, anchor: anchor)
        if pins.isEmpty, case .keyIDs(let ids) = anchor {
            self.pins = [RootPin(.keyIDs(ids), origin: "trust pinning", isBinding: false)]
        } else {
            self.pins = pins
        }
        self.maximumAge = maximumAge
        self.now = now
        self.ignoresExpiry = false
    }

    /// The same collection for its owner, who reads what has expired to sign it again. All else is checked as ever: signatures,
    /// hashes, and that no version is older than one seen before. Nothing that is read this way is kept, so that it can mislead
    /// nobody who shares the directory.
    package var forRescue: CollectionClient { CollectionClient(rescuing: self, over: self.transport) }

    /// The same for an owner who takes it along from another server.
    func moving(from transport: any TrustTransport) -> CollectionClient {
        CollectionClient(rescuing: self, over: transport)
    }

    private init(rescuing client: CollectionClient, over transport: any TrustTransport) {
        self.gun = client.gun
        self.transport = LapsedTransport(transport)
        self.cache = client.cache
        self.trust = client.trust
        self.pins = client.pins
        self.maximumAge = client.maximumAge
        self.trust.ignoresValidity = true
        self.now = client.now
        self.ignoresExpiry = true
    }

    /// The changes that wait for the next publish.
    package var changelist: Changelist { Changelist(of: self.gun, in: self.cache) }

    /// Learns what is current and verifies it down to the top-level targets. Delegated roles are loaded when they are asked for.
    ///
    /// What was verified replaces what is cached; a refusal leaves the cache as it was.
    /// - Throws: ``TrustClientError``.
    package func update() async throws -> LoadedCollection {
        do {
            var update = CollectionUpdate(self)
            try await update.run()
            return LoadedCollection(update)
        } catch let error as TUFError {
            throw TrustClientError(error, context: self.gun.text)
        }
    }

    /// Forgets the collection on this machine: its metadata and staged changes, not its keys.
    package func deleteLocal() async throws {
        try await self.cache.removeAll(of: self.gun)
    }

    /// Deletes the collection on the server for everybody, then forgets it here.
    package func deleteRemote() async throws {
        try await self.transport.delete(self.gun)
        try await self.deleteLocal()
    }
}

/// Something that a reader should know although it did not stop the update.
package enum CollectionWarning: Sendable, Hashable, CustomStringConvertible {
    /// The server could not be asked: this is what was current before, and it is still in force.
    case offline(reason: String, timestampExpires: Expiry)
    /// A delegated role that has expired or lacks signatures: it counts as empty.
    case delegationSkipped(RoleName, reason: String)
    /// Keys are pinned, and none of them is among those of the root that was known before: either it has been rotated since, or
    /// it was trusted without the pin.
    case rootNotPinned(rootKeyIDs: [KeyID], path: String)

    /// A sentence.
    package var description: String {
        switch self {
        case .offline(let reason, let expires):
            "could not ask the trust server (\(reason)): using what is cached, which is valid until \(expires)"
        case .delegationSkipped(let role, let reason):
            "the role \(role) is left out: \(reason)"
        case .rootNotPinned(let ids, let path):
            "no root key of this collection is pinned any more: it has \(ids.map(\.text).joined(separator: ", ")). If its "
                + "publisher has rotated the root key, pin the new one; if not, remove \(path) and do not trust what it led to"
        }
    }
}

/// A collection that this machine did not know before.
package struct FirstUse: Sendable, Hashable {
    /// The ids of the root keys that are trusted from now on.
    package let rootKeyIDs: [KeyID]
    /// Whether they were pinned beforehand; otherwise they are trusted because they came first.
    package let isPinned: Bool
}

/// How current what was loaded is.
package struct Freshness: Sendable, Hashable {
    /// The version of the timestamp.
    package let version: Int64
    /// Until when it says what is current.
    package let expires: Expiry
    /// Whether the server has just said so, or the cache.
    package let isFromServer: Bool
}
