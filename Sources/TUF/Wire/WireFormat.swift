// SPDX-License-Identifier: Apache-2.0

/// How metadata is spelled: one model has several byte forms.
public enum WireFormat: Sendable, Hashable {
    /// Notary v1 and Docker Content Trust.
    case notary
    /// TUF 1.0 (specification 1.0.34), with succinct roles (TAP 15).
    case tuf

    /// The most bytes that a peer may make a client read where no signed length bounds it: for the root.
    public static let rootLimit = 4 << 20
    /// The most bytes of a timestamp.
    public static let timestampLimit = 1 << 20
    /// The most bytes of any metadata, whatever a signed length says.
    public static let metadataLimit = 256 << 20
    /// The most signatures on one metadata.
    public static let signatureLimit = 1024
    /// The most delegated roles that one search or update visits.
    public static let delegationLimit = 4096
    /// The most roots that one update follows.
    public static let rotationLimit = 1024
}

// MARK: - Where the formats differ in what they mean

extension WireFormat {
    /// The most delegated roles that are asked for one target. Those of a Notary collection are loaded all at once anyway; of
    /// a TUF repository each may cost a request, to a server that nobody vouches for.
    public var searchLimit: Int {
        switch self {
        case .notary: Self.delegationLimit
        case .tuf: 256
        }
    }

    /// Whether a listed hash of an algorithm that is not known is left out, or a refusal.
    var ignoresUnknownHashes: Bool { self == .notary }

    /// Whether metadata has expired already at the very moment of its expiry.
    var expiresAtEquality: Bool { self == .tuf }

    /// Whether a name says which role delegates to it, as `targets/a` is below `targets`.
    var namesSayDelegator: Bool { self == .notary }

    /// Whether a snapshot lists the root that it goes with.
    var snapshotListsRoot: Bool { self == .notary }

    /// Whether metadata with no signature at all can be read: it verifies nothing, but others may go on to sign it.
    var allowsUnsigned: Bool { self == .tuf }
}

// MARK: - Envelopes

extension WireFormat {
    /// Appends what is signed as a file has it: canonical JSON, but for the characters that have to be escaped in JSON or, by Notary's
    /// Go, are.
    func writeWireForm(canonical: [UInt8], to bytes: inout [UInt8]) {
        CanonicalJSON.writeForWire(canonical[...], likeGo: self == .notary, to: &bytes)
    }

    func signatures(_ values: [JSONValue]) throws -> [Signature] {
        switch self {
        case .notary: try values.map(NotaryWire.signature)
        case .tuf: try TUFWire.signatures(values)
        }
    }

    func json(_ signature: Signature) -> JSONValue {
        switch self {
        case .notary: NotaryWire.json(signature)
        case .tuf: TUFWire.json(signature)
        }
    }
}
