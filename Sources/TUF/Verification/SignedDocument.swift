// SPDX-License-Identifier: Apache-2.0

/// A signed JSON object that is no role's metadata. Its signatures are over its canonical form, and both are spelled, as TUF's
/// format has it.
package struct SignedDocument: Sendable {
    /// The file, byte for byte.
    package var bytes: [UInt8] { self.metadata.bytes }
    /// What is signed; not to be believed before ``verify(by:)``.
    package var content: JSONValue { self.metadata.signed.value }
    /// The ids of the keys of the signatures, valid or not.
    package var signers: [KeyID] { self.metadata.signatures.map(\.keyID) }

    private let metadata: UnverifiedMetadata

    /// Parses a file.
    /// - Throws: ``TUFError`` with code `malformed` or `tooLarge`.
    package init(_ bytes: [UInt8]) throws {
        self.metadata = try UnverifiedMetadata(bytes, format: .tuf)
    }

    /// Writes content that nobody has signed.
    package init(unsigned content: JSONValue) throws {
        try self.init(Root.file(CanonicalJSON.encode(content)[...], [], .tuf))
    }

    /// Checks that enough of some keys have signed it.
    /// - Throws: ``TUFError`` with code `thresholdNotMet`.
    @discardableResult
    package func verify(by keys: RoleKeys) throws -> [KeyID] { try keys.verify(self.metadata) }

    /// The same with further signatures. What others signed stays as it is.
    /// - Throws: whatever a key throws; ``TUFError`` with code `thresholdNotMet` for a key whose signature does not verify.
    package func adding(signaturesOf keys: [any SigningKey]) async throws -> SignedDocument {
        let more = try await Root.signatures(of: keys, on: Array(self.metadata.message.bytes), .tuf)
        let kept = self.metadata.signatures.filter { signature in !more.contains { $0.keyID == signature.keyID } }
        return try SignedDocument(Root.file(self.metadata.message.bytes, kept + more, .tuf))
    }
}
