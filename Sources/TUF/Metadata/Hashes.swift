// SPDX-License-Identifier: Apache-2.0

import Crypto

/// The hashes of a file, by the name of their algorithm.
public struct Hashes: Sendable, Hashable {
    /// What is listed, in one form only: equal hashes are stored alike.
    private enum Storage: Sendable, Hashable {
        /// A SHA-256 of the right length and nothing else, as nearly all files have: it takes no memory of its own.
        case sha256(SHA256Value)
        case listed(ByteOrderedMap<[UInt8]>)
    }

    private var storage: Storage

    /// Takes raw digests by algorithm name.
    public init(_ digests: ByteOrderedMap<[UInt8]>) {
        if digests.count == 1, let digest = digests["sha256"], let value = SHA256Value(digest) {
            self.storage = .sha256(value)
        } else {
            self.storage = .listed(digests)
        }
    }

    /// SHA-256 and SHA-512 of bytes, as Notary lists for metadata.
    public init(of bytes: [UInt8]) {
        self.init(["sha256": Array(SHA256.hash(data: bytes)), "sha512": Array(SHA512.hash(data: bytes))])
    }

    /// A SHA-256 alone, as Docker lists for images.
    public init(sha256: [UInt8]) {
        self.init(["sha256": sha256])
    }

    /// A SHA-256 alone.
    init(sha256: SHA256Value) {
        self.storage = .sha256(sha256)
    }

    /// Raw digests by algorithm name, those of unknown algorithms included.
    public var digests: ByteOrderedMap<[UInt8]> {
        get {
            switch self.storage {
            case .sha256(let value): ["sha256": value.bytes]
            case .listed(let digests): digests
            }
        }
        set { self = Hashes(newValue) }
    }

    /// The SHA-256, if one is listed.
    public var sha256: [UInt8]? {
        switch self.storage {
        case .sha256(let value): value.bytes
        case .listed(let digests): digests["sha256"]
        }
    }

    /// The SHA-512, if one is listed.
    public var sha512: [UInt8]? {
        switch self.storage {
        case .sha256: nil
        case .listed(let digests): digests["sha512"]
        }
    }
}
