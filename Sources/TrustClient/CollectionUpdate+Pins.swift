// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
import TUF

// Pins name the keys of the root that was current when they were made. Who knows no root yet, and finds that the current one
// has been rotated away from them, goes back to the newest root that they do name and follows the rotations from there, as
// who knew that root would have. That gives away nothing: who could make a false rotation away from a pinned root holds a
// pinned key, with which any root at all could be made.
extension CollectionUpdate {
    /// The most bytes of roots that one walk takes.
    private static let walkLimit = 64 << 20

    /// What the certificates of authorities are compared with.
    private var pinTime: Date { self.client.ignoresExpiry ? self.client.now() : self.trusted.now }

    /// Takes the first root, of which pins say whose it has to be.
    mutating func takePinnedRoot(_ newest: [UInt8]) async throws {
        if let trust = try await self.pinnedTrust(newest) {
            self.startOver(trust)
            try self.takeFirst([newest])
            return
        }
        guard let chain = try await self.chainFromPinnedRoot(to: newest) else { throw try self.notPinned(newest) }
        self.startOver(chain.trust)
        try self.takeFirst(chain.roots)
    }

    /// The rules under which a root is accepted as the first; nil when none of its keys is pinned.
    private func pinnedTrust(_ root: [UInt8]) async throws -> RootTrust? {
        let metadata = try UnverifiedMetadata(root, format: .notary)
        // A key that is listed has said nothing; one that has signed has.
        let keys = try metadata.claimedRootKeys().filter { metadata.isSigned(by: $0) }
        let admitted = await self.client.pins.admitted(keys, at: self.pinTime)
        guard !admitted.isEmpty else { return nil }
        var trust = RootTrust(gun: self.client.gun.text, anchor: .keyIDs(Set(admitted.map(\.id))))
        trust.ignoresValidity = self.client.trust.ignoresValidity
        return trust
    }

    /// The newest root that is pinned, and all that came after it.
    /// - Returns: nil when there is none.
    private func chainFromPinnedRoot(to newest: [UInt8]) async throws -> (trust: RootTrust, roots: [[UInt8]])? {
        let version = try UnverifiedMetadata(newest, format: .notary).claimedVersion ?? 0
        var chain = [newest]
        var size = newest.count
        // A version from nowhere must not have as many asked for as it says.
        for older in stride(from: version - 1, to: max(0, version - 1 - Int64(WireFormat.rotationLimit)), by: -1) {
            let bytes: [UInt8]
            do {
                bytes = try await self.fetch(.root, .version(older), limit: WireFormat.rootLimit)
            } catch let error as TrustClientError where error.code == .noTrustData {
                return nil
            }
            size += bytes.count
            guard size <= Self.walkLimit else {
                throw TUFError(.tooLarge, role: .root, "its older versions have more than \(Self.walkLimit) bytes")
            }
            // Nothing has been vouched for yet: what is not the version that was asked for leads nowhere.
            guard try UnverifiedMetadata(bytes, format: .notary).claimedVersion == older else { return nil }
            chain.append(bytes)
            if let trust = try await self.pinnedTrust(bytes) { return (trust, chain.reversed()) }
        }
        return nil
    }

    private func notPinned(_ root: [UInt8]) throws -> TUFError {
        let keys = try UnverifiedMetadata(root, format: .notary).claimedRootKeys().prefix(8).map {
            $0.id.text.prefix(64)
        }
        let pins = self.client.pins.map { "\($0.origin) asks for \($0.summary)" }.joined(separator: "; ")
        return TUFError(
            .untrustedRoot,
            role: .root,
            "no root key of \(self.client.gun) is pinned and has signed it, nor does an older root lead to it: it has "
                + "\(keys.joined(separator: ", ")); \(pins)"
        )
    }

    /// A root that is known needs no pin for Notary, since rotation may have led to it. Whether it has, is looked up: what began as a
    /// wrong first use must not go unheard, and where the pin binds it ends here.
    mutating func checkKnownRoot() async throws {
        guard !self.client.pins.isEmpty, self.firstUse == nil, let root = self.trusted.root else { return }
        // Anybody can list a key that others pin: those count that are in the collection's name and have signed.
        let keys = try self.client.trust.keys(of: root.payload).keys
        let metadata = try UnverifiedMetadata(root.bytes, format: .notary)
        let signers = keys.filter { metadata.isSigned(by: $0) }
        guard await self.client.pins.admitted(signers, at: self.pinTime).isEmpty else { return }
        let note = PinNote(root: root.bytes, pins: self.client.pins)
        if try await self.client.cache.pinNote(of: self.client.gun) == note.bytes { return }
        if (try? await self.isLedToFromPinnedRoot(root.bytes)) == true {
            guard !self.client.ignoresExpiry else { return }
            try await self.client.cache.keep(note.bytes, asPinNoteOf: self.client.gun)
            return
        }
        let path = self.client.cache.path(of: .root, in: self.client.gun)
        if let pin = self.client.pins.first(where: \.isBinding) {
            throw TrustClientError(
                .signature,
                "\(self.client.gun): the root that is trusted here has the keys \(keys.map(\.id.text).joined(separator: ", ")), "
                    + "and nothing leads to it from \(pin.summary), which \(pin.origin) asks for. If it was trusted by mistake, "
                    + "remove \(path); if its publisher has rotated the root key, reach the trust server once, or pin the new one"
            )
        }
        self.warn(.rootNotPinned(rootKeyIDs: root.payload.roles[.root]?.keyIDs ?? [], path: path))
    }

    private func isLedToFromPinnedRoot(_ known: [UInt8]) async throws -> Bool {
        guard let chain = try await self.chainFromPinnedRoot(to: known) else { return false }
        var walk = TrustedCollection(trust: chain.trust, format: .notary, at: self.trusted.now)
        for root in chain.roots { try walk.updateRoot(root) }
        return true
    }
}

/// That a root was followed from a pinned one, so that it need not be followed again.
private struct PinNote {
    let bytes: [UInt8]

    init(root: [UInt8], pins: [RootPin]) {
        let digests = [root, pins.fingerprint].map { Hexadecimal.encode(Hashes(of: $0).sha256 ?? []) }
        self.bytes = Array("{\"root\":\"\(digests[0])\",\"pins\":\"\(digests[1])\"}\n".utf8)
    }
}
