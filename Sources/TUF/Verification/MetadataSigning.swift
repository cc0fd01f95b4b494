// SPDX-License-Identifier: Apache-2.0

extension Payload {
    /// Signs this payload and writes the file, in exactly the bytes that Go's encoder would write.
    ///
    /// - Parameters:
    ///   - keys: who signs. Each signature is named after the key's id in the metadata.
    ///   - format: how to spell it.
    /// - Returns: the file, verified against the keys that signed it.
    /// - Throws: whatever a key throws; ``TUFError`` with code `thresholdNotMet` when a key made a signature that its own
    ///   public key refuses, so that nothing broken is ever published.
    public func signed(by keys: [any SigningKey], format: WireFormat) async throws -> Verified<Self> {
        let message = self.canonical(format: format)
        let signatures = try await Self.signatures(of: keys, on: message)
        return Verified(
            bytes: Self.file(CanonicalJSON.encodeForWire(canonical: message)[...], signatures),
            payload: self,
            signers: signatures.map(\.keyID),
            signatures: signatures,
            message: SignedMessage(message[...])
        )
    }

    fileprivate static func signatures(of keys: [any SigningKey], on message: [UInt8]) async throws -> [Signature] {
        guard !keys.isEmpty else { throw TUFError(.thresholdNotMet, "no key to sign with") }
        var signatures: [Signature] = []
        for key in keys {
            var signature = try await key.sign(message)
            signature.keyID = key.publicKey.id
            guard key.publicKey.isValid(signature, for: message) else {
                throw TUFError(.thresholdNotMet, "key \(key.publicKey.id) made a signature that does not verify")
            }
            signatures.append(signature)
        }
        return signatures
    }

    fileprivate static func file(_ signed: ArraySlice<UInt8>, _ signatures: [Signature]) -> [UInt8] {
        // The order of the envelope's members is Go's struct order, not the canonical one.
        var bytes = Array("{\"signed\":".utf8)
        bytes += signed
        bytes += Array(",\"signatures\":".utf8)
        bytes += CanonicalJSON.encodeForWire(
            .array(
                signatures.map {
                    [
                        "keyid": .string($0.keyID.text), "method": .string($0.method.name),
                        "sig": .string(Base64.encode($0.bytes)),
                    ]
                }
            )
        )
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}

extension Verified {
    /// The same file with more signatures on it, for another key that is to sign what others already have. What is signed
    /// stays as it is, byte for byte: written anew, by us, it might be no longer what the others signed.
    /// - Throws: as ``Payload/signed(by:format:)``.
    public func adding(signaturesOf keys: [any SigningKey], format: WireFormat) async throws -> Verified<Content> {
        let original = try UnverifiedMetadata(self.bytes, format: format)
        let more = try await Content.signatures(of: keys, on: Array(original.message.bytes))
        let kept = self.signatures.filter { signature in !more.contains { $0.keyID == signature.keyID } }
        return Verified(
            bytes: Content.file(self.bytes[original.signedRange], kept + more),
            payload: self.payload,
            signers: self.signers.filter { id in !more.contains { $0.keyID == id } } + more.map(\.keyID),
            signatures: kept + more,
            message: self.message
        )
    }
}
