// SPDX-License-Identifier: Apache-2.0

/// What a role signs.
public protocol Payload: Sendable, Hashable {
    /// Counts up with each new metadata of the role; 1 or more.
    var version: Int64 { get set }
    /// When this metadata stops being trusted.
    var expires: Expiry { get set }

    /// Reads the `signed` object.
    /// - Throws: ``TUFError`` with code `malformed` or `invalid`.
    init(_ signed: JSONValue, format: WireFormat) throws

    /// The `signed` object.
    func json(format: WireFormat) -> JSONValue

    /// Reads what is signed.
    /// - Throws: ``TUFError`` with code `malformed` or `invalid`.
    init(_ signed: SignedObject, format: WireFormat) throws

    /// What is signed, in canonical form.
    func canonical(format: WireFormat) -> [UInt8]
}

extension Payload {
    /// Reads what is signed.
    public init(_ signed: SignedObject, format: WireFormat) throws {
        try self.init(signed.value, format: format)
    }

    /// What is signed, in canonical form.
    public func canonical(format: WireFormat) -> [UInt8] { CanonicalJSON.encode(self.json(format: format)) }
}

/// Who may sign for a role, by key id.
public struct RoleDefinition: Sendable, Hashable {
    /// The ids of the role's keys.
    public var keyIDs: [KeyID]
    /// How many of them must sign; 1 or more.
    public var threshold: Int64
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

    /// Makes a definition.
    public init(keyIDs: [KeyID], threshold: Int64 = 1) {
        self.keyIDs = keyIDs
        self.threshold = threshold
    }
}

/// What metadata says of other metadata: which bytes are meant.
public struct FileMetadata: Sendable, Hashable {
    /// The version, where the format lists it.
    public var version: Int64?
    /// The size in bytes, where it is listed.
    public var length: Int64?
    /// The hashes, where they are listed.
    public var hashes: Hashes?
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

    /// Makes a description.
    public init(version: Int64? = nil, length: Int64? = nil, hashes: Hashes? = nil) {
        self.version = version
        self.length = length
        self.hashes = hashes
    }

    /// The length and hashes of bytes.
    public init(of bytes: [UInt8]) {
        self.init(length: Int64(bytes.count), hashes: Hashes(of: bytes))
    }

    /// Checks bytes against everything that is listed of them.
    /// - Throws: ``TUFError`` with code `tooLarge` or `mismatch`.
    public func verify(_ bytes: [UInt8], role: RoleName, format: WireFormat) throws {
        if let length = self.length {
            guard bytes.count <= length else {
                throw TUFError(.tooLarge, role: role, "has \(bytes.count) bytes, but \(length) are listed")
            }
            guard bytes.count == length else {
                throw TUFError(.mismatch, role: role, "has \(bytes.count) bytes, but \(length) are listed")
            }
        }
        try self.hashes?.verify(bytes, role: role, format: format)
    }
}

/// The offline role: the keys and thresholds of all top-level roles.
public struct Root: Payload {
    /// Counts up by one with each new root.
    public var version: Int64
    /// When this root stops being trusted.
    public var expires: Expiry
    /// Whether file names carry versions (TUF). Notary always fetches by hash and ignores it.
    public var consistentSnapshot = false
    /// Public keys by the id they are listed under.
    public var keys: ByteOrderedMap<PublicKey>
    /// Who signs for each role.
    public var roles: [RoleName: RoleDefinition]
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

    /// Makes a root of keys and roles; the keys are listed under their own ids.
    public init(version: Int64, expires: Expiry, keys: [PublicKey], roles: [RoleName: RoleDefinition]) {
        self.version = version
        self.expires = expires
        self.roles = roles
        self.keys = [:]
        for key in keys { self.keys[key.id.text] = key }
    }

    /// The keys and threshold of a top-level role.
    /// - Throws: ``TUFError`` with code `invalid` when the role is not defined.
    public func keys(of role: RoleName) throws -> RoleKeys {
        guard let definition = self.roles[role] else {
            throw TUFError(.invalid, role: .root, "does not define the role \(role)")
        }
        return RoleKeys(role: role, definition: definition, keys: self.keys)
    }
}

/// The role that says which snapshot is current.
public struct Timestamp: Payload {
    /// Counts up with each new timestamp.
    public var version: Int64
    /// When this timestamp stops being trusted.
    public var expires: Expiry
    /// The current snapshot.
    public var snapshot: FileMetadata
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

    /// Makes a timestamp of a snapshot.
    public init(version: Int64, expires: Expiry, snapshot: FileMetadata) {
        self.version = version
        self.expires = expires
        self.snapshot = snapshot
    }
}

/// The role that says which metadata of the other roles belong together.
public struct Snapshot: Payload {
    /// Counts up with each new snapshot.
    public var version: Int64
    /// When this snapshot stops being trusted.
    public var expires: Expiry
    /// The current metadata by role name.
    public var meta: ByteOrderedMap<FileMetadata>
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

    /// Makes a snapshot.
    public init(version: Int64, expires: Expiry, meta: ByteOrderedMap<FileMetadata>) {
        self.version = version
        self.expires = expires
        self.meta = meta
    }

    /// What is listed of a role; nil when the role has no metadata.
    public subscript(role: RoleName) -> FileMetadata? {
        get { self.meta[role.text] }
        set { self.meta[role.text] = newValue }
    }
}
