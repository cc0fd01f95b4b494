// SPDX-License-Identifier: Apache-2.0

import Crypto

extension Hashes {
    /// Checks content against the hashes that are listed. Each of a known algorithm must be right; in TUF's format an unknown
    /// one is a refusal, in Notary's it is left out.
    /// - Throws: ``TUFError`` with code `mismatch` when one differs, or when none can be checked.
    public func verify(_ bytes: [UInt8], role: RoleName? = nil, format: WireFormat) throws {
        var verifier = try ContentVerifier(self, length: nil, role: role, format: format)
        verifier.hash(bytes)
        try verifier.finish()
    }
}

/// Checks content against what is listed of it while it comes: the length and every hash.
public struct ContentVerifier: Sendable {
    /// How many bytes are listed; nil when that is not said.
    public let length: Int64?
    /// How many bytes have come.
    public private(set) var count: Int64 = 0

    private let role: RoleName?
    private let expected: Hashes
    private var sha256: SHA256?
    private var sha512: SHA512?

    /// Begins to check.
    /// - Throws: ``TUFError`` with code `mismatch` when the listed hashes are such that nothing could match them: none of a
    ///   known algorithm, or (TUF) one of an unknown algorithm.
    public init(_ target: TargetFile, format: WireFormat) throws {
        try self.init(target.hashes, length: target.length, role: nil, format: format)
    }

    init(_ hashes: Hashes, length: Int64?, role: RoleName?, format: WireFormat) throws {
        self.length = length
        self.role = role
        self.expected = hashes
        for (algorithm, _) in hashes.digests {
            switch algorithm {
            case "sha256": self.sha256 = SHA256()
            case "sha512": self.sha512 = SHA512()
            default:
                guard format.ignoresUnknownHashes else {
                    throw TUFError(
                        .mismatch,
                        role: role,
                        "lists a hash of the unknown algorithm \(algorithm.prefix(64)), and every listed hash must match"
                    )
                }
            }
        }
        guard self.sha256 != nil || self.sha512 != nil else {
            throw TUFError(.mismatch, role: role, "no hash of a known algorithm is listed")
        }
    }

    /// Takes the next bytes.
    /// - Throws: ``TUFError`` with code `tooLarge` as soon as there are more than are listed.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) throws {
        let (count, overflow) = self.count.addingReportingOverflow(Int64(bytes.count))
        if let length = self.length, overflow || count > length {
            throw TUFError(.tooLarge, role: self.role, "has more than the \(length) bytes that are listed")
        }
        self.count = overflow ? .max : count
        self.sha256?.update(bufferPointer: bytes)
        self.sha512?.update(bufferPointer: bytes)
    }

    fileprivate mutating func hash(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes {
            self.sha256?.update(bufferPointer: $0)
            self.sha512?.update(bufferPointer: $0)
        }
    }

    /// Checks that all that was to come has come, and is right.
    /// - Throws: ``TUFError`` with code `mismatch`.
    public func finish() throws {
        if let length = self.length, self.count != length {
            throw TUFError(.mismatch, role: self.role, "has \(self.count) bytes, but \(length) are listed")
        }
        try self.check("sha256", self.sha256.map { Array($0.finalize()) }, self.expected.sha256)
        try self.check("sha512", self.sha512.map { Array($0.finalize()) }, self.expected.sha512)
    }

    private func check(_ algorithm: String, _ actual: [UInt8]?, _ expected: [UInt8]?) throws {
        guard let actual, let expected else { return }
        guard actual == expected else {
            throw TUFError(
                .mismatch,
                role: self.role,
                "\(algorithm) is \(Hexadecimal.encode(actual)), expected \(Hexadecimal.encode(expected))"
            )
        }
    }
}
