// SPDX-License-Identifier: Apache-2.0

import Crypto

/// The hashes of a file, by the name of their algorithm.
public struct Hashes: Sendable, Hashable {
    /// Raw digests by algorithm name, those of unknown algorithms included.
    public var digests: ByteOrderedMap<[UInt8]>

    /// Takes raw digests by algorithm name.
    public init(_ digests: ByteOrderedMap<[UInt8]>) {
        self.digests = digests
    }

    /// SHA-256 and SHA-512 of bytes, as Notary lists for metadata.
    public init(of bytes: [UInt8]) {
        self.digests = ["sha256": Array(SHA256.hash(data: bytes)), "sha512": Array(SHA512.hash(data: bytes))]
    }

    /// A SHA-256 alone, as Docker lists for images.
    public init(sha256: [UInt8]) {
        self.digests = ["sha256": sha256]
    }

    /// The SHA-256, if one is listed.
    public var sha256: [UInt8]? { self.digests["sha256"] }
    /// The SHA-512, if one is listed.
    public var sha512: [UInt8]? { self.digests["sha512"] }
}
