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

    /// Checks content against every listed hash of a known algorithm.
    /// - Throws: ``TUFError`` with code `mismatch` when one differs, or when none is of a known algorithm.
    public func verify(_ bytes: [UInt8], role: RoleName? = nil) throws {
        var checked = 0
        for (algorithm, expected) in self.digests {
            let actual: [UInt8]
            switch algorithm {
            case "sha256": actual = Array(SHA256.hash(data: bytes))
            case "sha512": actual = Array(SHA512.hash(data: bytes))
            default: continue
            }
            guard actual == expected else {
                throw TUFError(
                    .mismatch,
                    role: role,
                    "\(algorithm) is \(Hexadecimal.encode(actual)), expected \(Hexadecimal.encode(expected))"
                )
            }
            checked += 1
        }
        guard checked > 0 else { throw TUFError(.mismatch, role: role, "no hash of a known algorithm is listed") }
    }
}
