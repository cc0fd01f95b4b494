// SPDX-License-Identifier: Apache-2.0

import Crypto

extension Payload {
    /// Signs this payload and writes the file, for Notary in exactly the bytes that Go's encoder would write.
    ///
    /// - Parameters:
    ///   - keys: who signs. Each signature is named after the key's id in the metadata.
    ///   - format: how to spell it.
    /// - Returns: the file, verified against the keys that signed it.
    /// - Throws: whatever a key throws; ``TUFError`` with code `thresholdNotMet` when a key made a signature that its own
    ///   public key refuses, so that nothing broken is ever published.
    public func signed(by keys: [any SigningKey], format: WireFormat) async throws -> Verified<Self> {
        let message = self.canonical(format: format)
        let signatures = try await Self.signatures(of: keys, on: message, format)
        let file = Self.file(signatures, format, signedSize: message.count) {
            format.writeWireForm(canonical: message, to: &$0)
        }
        return Verified(
            bytes: file,
            payload: self,
            signers: signatures.map(\.keyID),
            signatures: signatures,
            format: format,
            message: SignedMessage(message[...])
        )
    }

    static func signatures(
        of keys: [any SigningKey],
        on message: [UInt8],
        _ format: WireFormat
    ) async throws -> [Signature] {
        guard !keys.isEmpty else { throw TUFError(.thresholdNotMet, "no key to sign with") }
        var signatures: [Signature] = []
        for key in keys {
            let publicKey = try key.publicKey.spelled(in: format)
            var signature = try await key.signature(of: message, as: publicKey)
            signature.keyID = publicKey.id
            guard publicKey.isValid(signature, for: message) else {
                throw TUFError(.thresholdNotMet, "key \(publicKey.id) made a signature that does not verify")
            }
            // The same signer twice is one.
            if !signatures.contains(where: { $0.keyID == publicKey.id }) { signatures.append(signature) }
        }
        return signatures
    }

    static func file(
        _ signed: ArraySlice<UInt8>,
        _ signatures: [Signature],
        _ format: WireFormat
    ) -> [UInt8] {
        self.file(signatures, format, signedSize: signed.count) { $0 += signed }
    }

    fileprivate static func file(
        _ signatures: [Signature],
        _ format: WireFormat,
        signedSize: Int,
        writeSigned: (inout [UInt8]) -> Void
    ) -> [UInt8] {
        let list = CanonicalJSON.encodeForWire(.array(signatures.map { format.json($0) }))
        var bytes: [UInt8] = []
        // What is signed may be large: no second copy of it is made because the file has to grow.
        bytes.reserveCapacity(signedSize + list.count + 64)
        // The order of the envelope's members is Go's struct order, not the canonical one.
        bytes += Array("{\"signed\":".utf8)
        writeSigned(&bytes)
        bytes += Array(",\"signatures\":".utf8)
        bytes += list
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}

extension SigningKey {
    /// A signature in the bytes of the key's format, whichever the signer gave it in.
    fileprivate func signature(of message: [UInt8], as publicKey: PublicKey) async throws -> Signature {
        guard let scheme = publicKey.scheme else { return try await self.sign(message) }
        var signature = try await self.sign(message, scheme: scheme)
        if signature.method == .ecdsa {
            let der =
                scheme == .ecdsaP384
                ? try? P384.Signing.ECDSASignature(rawRepresentation: signature.bytes).derRepresentation
                : try? P256.Signing.ECDSASignature(rawRepresentation: signature.bytes).derRepresentation
            signature.bytes = der.map { Array($0) } ?? []
        }
        signature.method = .ofKey
        return signature
    }
}

extension Verified {
    /// The same file with more signatures on it, for another key that is to sign what others already have. What is signed
    /// stays as it is, byte for byte: written anew, by us, it might be no longer what the others signed.
    /// - Throws: as ``Payload/signed(by:format:)``.
    public func adding(signaturesOf keys: [any SigningKey], format: WireFormat) async throws -> Verified<Content> {
        let original = try UnverifiedMetadata(self.bytes, format: format)
        let more = try await Content.signatures(of: keys, on: Array(original.message.bytes), format)
        let kept = self.signatures.filter { signature in !more.contains { $0.keyID == signature.keyID } }
        return Verified(
            bytes: Content.file(kept + more, format, signedSize: original.signedRange.count) {
                $0 += self.bytes[original.signedRange]
            },
            payload: self.payload,
            signers: self.signers.filter { id in !more.contains { $0.keyID == id } } + more.map(\.keyID),
            signatures: kept + more,
            format: format,
            message: self.message
        )
    }
}
