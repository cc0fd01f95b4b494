// SPDX-License-Identifier: Apache-2.0

/// Metadata as it came off a wire or a disk: parsed, but not to be believed.
///
/// Only ``verified(as:by:)`` and the workflow make a trusted value of it.
public struct UnverifiedMetadata: Sendable {
    /// The file, byte for byte.
    public let bytes: [UInt8]
    /// The signatures on it, valid or not.
    public let signatures: [Signature]
    /// How it is spelled.
    public let format: WireFormat

    /// Where the bytes of `signed` lie in the file.
    let signedRange: Range<Int>
    let message: SignedMessage
    let signed: SignedObject

    /// Parses the envelope: the signatures, and what they sign.
    /// - Throws: ``TUFError`` with code `malformed` for anything but a JSON object with `signed` and `signatures`, or
    ///   `tooLarge` for more than ``WireFormat/signatureLimit`` signatures.
    public init(_ bytes: [UInt8], format: WireFormat) throws {
        let envelope = try MetadataEnvelope(bytes, format: format)
        var reader = try MemberReader(.object(envelope.members), "metadata")
        let signatures = try reader.elements("signatures")
        guard !signatures.isEmpty || format.allowsUnsigned else {
            throw TUFError(.malformed, "metadata has no signatures")
        }
        guard signatures.count <= WireFormat.signatureLimit else {
            throw TUFError(.tooLarge, "metadata has more than \(WireFormat.signatureLimit) signatures")
        }
        self.signatures = try format.signatures(signatures)
        self.bytes = bytes
        self.format = format
        self.signed = envelope.signed
        self.signedRange = envelope.signedRange
        self.message = SignedMessage(envelope.signed.canonical)
    }

    /// What it claims to be, for a message or a first filter only; nothing here is checked.
    public var claimedVersion: Int64? { self.signed["version"]?.integer }

    /// Checks that type, version and expiry, where they are there, are of their kinds of JSON value: what can be said of
    /// metadata before anybody has vouched for it.
    /// - Throws: ``TUFError`` with code `malformed`.
    public func checkClaims() throws {
        if let type = self.signed["_type"], type.string == nil { throw TUFError(.malformed, "_type must be a string") }
        if let version = self.signed["version"], version.integer == nil {
            throw TUFError(.malformed, "version must be an integer")
        }
        if let expires = self.signed["expires"] { _ = try Expiry(parsing: expires.string ?? "") }
    }

    /// Checks the signatures, and only then reads what is signed.
    /// - Throws: ``TUFError`` with code `thresholdNotMet`, `malformed` or `invalid`.
    public func verified<Content: Payload>(
        as type: Content.Type = Content.self,
        by keys: RoleKeys
    ) throws -> Verified<Content> {
        let signers = try keys.verify(self)
        return Verified(self, payload: try self.payload(), signers: signers, keys: keys)
    }

    /// Whether a key has signed this.
    public func isSigned(by key: PublicKey) -> Bool {
        guard let decoded = try? VerificationKey(key) else { return false }
        return self.signatures.contains { $0.keyID == key.id && self.isValid($0, by: decoded) }
    }

    /// What is signed, before anybody has vouched for it: a root has to be read to learn who may.
    func payload<Content: Payload>() throws -> Content {
        try Content(self.signed, format: self.format)
    }

    func isValid(_ signature: Signature, by key: VerificationKey) -> Bool {
        key.isValid(signature, for: self.message)
    }
}

/// Metadata whose signatures have been checked. Whether it is current is for the workflow to say.
public struct Verified<Content: Payload>: Sendable {
    /// The file, byte for byte.
    public let bytes: [UInt8]
    /// What was signed.
    public let payload: Content
    /// The ids of the keys that were found to have signed, as many as were needed.
    public let signers: [KeyID]
    /// All signatures on the file.
    public let signatures: [Signature]
    /// How it is spelled.
    public let format: WireFormat
    /// The bytes that are signed, in canonical form: they tell whether two files say the same.
    let message: SignedMessage
    /// The keys and threshold that were asked for; nil for what was only just signed here.
    let keys: RoleKeys?

    init(
        bytes: [UInt8],
        payload: Content,
        signers: [KeyID],
        signatures: [Signature],
        format: WireFormat,
        message: SignedMessage,
        keys: RoleKeys? = nil
    ) {
        self.keys = keys
        self.bytes = bytes
        self.payload = payload
        self.signers = signers
        self.signatures = signatures
        self.format = format
        self.message = message
    }

    init(_ metadata: UnverifiedMetadata, payload: Content, signers: [KeyID], keys: RoleKeys? = nil) {
        self.init(
            bytes: metadata.bytes,
            payload: payload,
            signers: signers,
            signatures: metadata.signatures,
            format: metadata.format,
            message: metadata.message,
            keys: keys
        )
    }

    /// Whether these are the very bytes that were verified, against the very keys.
    func covers(_ bytes: [UInt8], by keys: RoleKeys) -> Bool {
        self.keys == keys && self.bytes == bytes
    }

    /// Checks the expiry: Notary's is past when it lies strictly before the given time, TUF's at that very time.
    /// - Throws: ``TUFError`` with code `expired`.
    public func requireCurrent(at now: Expiry, role: RoleName) throws {
        let expires = self.payload.expires
        guard expires > now || (expires == now && !self.format.expiresAtEquality) else {
            throw TUFError(
                .expired,
                role: role,
                "version \(self.payload.version) expired on \(self.payload.expires), it is now \(now)"
            )
        }
    }
}

/// The keys that may sign for one role, and how many of them must.
public struct RoleKeys: Sendable, Hashable {
    /// The role they sign for.
    public let role: RoleName
    /// The keys, each under the id that signatures name it by.
    public let keys: [PublicKey]
    /// How many distinct keys must sign.
    public let threshold: Int

    /// Takes keys directly.
    public init(role: RoleName, keys: [PublicKey], threshold: Int) {
        self.role = role
        self.keys = keys
        self.threshold = threshold
    }

    /// Resolves the ids of a definition. A key that is missing cannot sign, and neither can one of Notary's that is
    /// listed under an id that is not its own.
    init(role: RoleName, definition: RoleDefinition, keys: ByteOrderedMap<PublicKey>) {
        self.role = role
        self.keys = Set(definition.keyIDs).sorted().compactMap { id in
            keys[id.text].flatMap { $0.id == id ? $0 : nil }
        }
        self.threshold = Int(clamping: definition.threshold)
    }

    /// Counts the keys that have signed: each key once, however many ids or signatures it has.
    /// - Returns: the ids of the keys that made up the threshold.
    /// - Throws: ``TUFError`` with code `thresholdNotMet`.
    @discardableResult
    public func verify(_ metadata: UnverifiedMetadata) throws -> [KeyID] {
        guard self.threshold >= 1 else { throw TUFError(.invalid, role: self.role, "has a threshold below 1") }
        let attempts = Dictionary(grouping: metadata.signatures, by: \.keyID)
        var distinct: Set<[UInt8]> = []
        var signers: [KeyID] = []
        for key in self.keys {
            // A signature costs much more to check than to write.
            guard let signatures = attempts[key.id]?.prefix(Self.attemptLimit), let decoded = try? VerificationKey(key),
                signatures.contains(where: { metadata.isValid($0, by: decoded) }),
                distinct.insert(decoded.subjectPublicKeyInfo).inserted
            else { continue }
            signers.append(key.id)
            if signers.count == self.threshold { return signers }
        }
        throw TUFError(
            .thresholdNotMet,
            role: self.role,
            "valid signatures did not meet threshold for \(self.role): \(signers.count) of \(self.threshold); "
                + "may be signed by \(Self.list(self.keys.map(\.id))), "
                + "carries signatures of \(Self.list(metadata.signatures.map(\.keyID)))"
        )
    }

    /// The most signatures of one key that are tried.
    private static let attemptLimit = 8

    private static func list(_ ids: [KeyID]) -> String {
        ids.isEmpty ? "no key" : ids.prefix(8).map { String($0.text.prefix(64)) }.joined(separator: ", ")
    }
}
