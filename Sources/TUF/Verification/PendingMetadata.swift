// SPDX-License-Identifier: Apache-2.0

/// Metadata that the holders of a role's keys sign one after another before anybody publishes it.
///
/// What is signed stays as it is, byte for byte; only signatures come to it. Nothing here says that any of them counts: that
/// is for the keys of the role to say.
public struct PendingMetadata: Sendable {
    /// How it is spelled.
    public let format: WireFormat
    /// The signatures on it so far, valid or not.
    public private(set) var signatures: [Signature]

    private let signed: SignedObject
    /// What is signed as the file has it.
    private let text: [UInt8]
    private let message: SignedMessage

    /// Reads a file, which may have no signature yet.
    /// - Throws: ``TUFError`` with code `malformed`, `invalid` for two signatures of one key, or `tooLarge` for more than
    ///   ``WireFormat/signatureLimit``.
    public init(_ bytes: [UInt8], format: WireFormat) throws {
        let envelope = try MetadataEnvelope(bytes, format: format)
        var reader = try MemberReader(.object(envelope.members), "metadata")
        let signatures = try format.signatures(try reader.elements("signatures"))
        guard signatures.count <= WireFormat.signatureLimit else {
            throw TUFError(.tooLarge, "metadata has more than \(WireFormat.signatureLimit) signatures")
        }
        guard Set(signatures.map(\.keyID)).count == signatures.count else {
            throw TUFError(.invalid, "metadata has two signatures of one key")
        }
        self.format = format
        self.signatures = signatures
        self.signed = envelope.signed
        self.text = Array(bytes[envelope.signedRange])
        self.message = SignedMessage(envelope.signed.canonical)
    }

    /// Reads a file of either format: Notary's says `Root` of what in TUF's is a `root`.
    /// - Throws: as ``init(_:format:)-([UInt8],_)``; ``TUFError`` with code `malformed` for a file that does not say what it is.
    public init(recognizing bytes: [UInt8]) throws {
        let type = try MetadataEnvelope(bytes, format: .tuf).signed["_type"]?.string
        guard let first = type?.utf8.first else {
            throw TUFError(.malformed, "the metadata does not say what kind it is")
        }
        try self.init(bytes, format: (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) ? .notary : .tuf)
    }

    /// Begins with a payload that nobody has signed.
    /// - Throws: ``TUFError`` with code `malformed` for a payload that cannot be read again.
    public init(_ payload: some Payload, format: WireFormat) throws {
        var text: [UInt8] = []
        format.writeWireForm(canonical: payload.canonical(format: format), to: &text)
        try self.init(Root.file(text[...], [], format), format: format)
    }

    /// The file, byte for byte.
    public var bytes: [UInt8] { Root.file(self.text[...], self.signatures, self.format) }

    /// What kind of metadata it says it is, in lower case: `root`, `timestamp`, `snapshot` or `targets`.
    public var type: String? { self.signed["_type"]?.string?.lowercased() }

    /// The version that it says it has.
    public var version: Int64? { self.signed["version"]?.integer }

    /// What is to be signed, or was.
    /// - Throws: ``TUFError`` with code `malformed` or `invalid`.
    public func payload<Content: Payload>(as type: Content.Type = Content.self) throws -> Content {
        try Content(self.signed, format: self.format)
    }

    /// Whether another copy asks for signatures on the same bytes.
    public func hasSameContent(as other: PendingMetadata) -> Bool {
        self.format == other.format && self.message.bytes == other.message.bytes
    }

    /// Whether a signature, which may be of another copy, is the key's on this content.
    public func isValid(_ signature: Signature, by key: PublicKey) -> Bool {
        guard signature.keyID == key.id, let decoded = try? VerificationKey(key) else { return false }
        return decoded.isValid(signature, for: self.message)
    }

    /// Signs the content.
    /// - Throws: ``TUFError`` with code `thresholdNotMet` when a key made a signature that its own public key refuses;
    ///   whatever a key throws.
    public func signatures(of keys: [any SigningKey]) async throws -> [Signature] {
        try await Root.signatures(of: keys, on: Array(self.message.bytes), self.format)
    }

    /// Puts a signature on it, in place of one that the same key made before.
    public mutating func add(_ signature: Signature) {
        self.signatures.removeAll { $0.keyID == signature.keyID }
        self.signatures.append(signature)
    }

    /// The metadata, once enough have signed.
    /// - Throws: ``TUFError`` with code `thresholdNotMet`, `malformed` or `invalid`.
    public func verified<Content: Payload>(
        as type: Content.Type = Content.self,
        by keys: RoleKeys
    ) throws -> Verified<Content> {
        try UnverifiedMetadata(self.bytes, format: self.format).verified(by: keys)
    }
}
