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
        let value = self.json(format: format)
        let message = CanonicalJSON.encode(value)
        var signatures: [Signature] = []
        for key in keys {
            var signature = try await key.sign(message)
            signature.keyID = key.publicKey.id
            guard key.publicKey.isValid(signature, for: message) else {
                throw TUFError(.thresholdNotMet, "key \(key.publicKey.id) made a signature that does not verify")
            }
            signatures.append(signature)
        }
        return Verified(
            bytes: Self.file(value, signatures),
            payload: self,
            signers: signatures.map(\.keyID),
            signatures: signatures
        )
    }

    private static func file(_ signed: JSONValue, _ signatures: [Signature]) -> [UInt8] {
        // The order of the envelope's members is Go's struct order, not the canonical one.
        var bytes = Array("{\"signed\":".utf8)
        bytes += CanonicalJSON.encodeForWire(signed)
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
    /// The same file with more signatures on it, for another key that is to sign what others already have.
    /// - Throws: as ``Payload/signed(by:format:)``.
    public func adding(signaturesOf keys: [any SigningKey], format: WireFormat) async throws -> Verified<Content> {
        let more = try await self.payload.signed(by: keys, format: format)
        let kept = self.signatures.filter { signature in !more.signatures.contains { $0.keyID == signature.keyID } }
        return Content.verified(self.payload, signatures: kept + more.signatures, format: format)
    }
}

extension Payload {
    fileprivate static func verified(_ payload: Self, signatures: [Signature], format: WireFormat) -> Verified<Self> {
        Verified(
            bytes: Self.file(payload.json(format: format), signatures),
            payload: payload,
            signers: signatures.map(\.keyID),
            signatures: signatures
        )
    }
}
