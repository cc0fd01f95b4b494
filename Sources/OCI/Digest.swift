// SPDX-License-Identifier: Apache-2.0

import Crypto

/// A content identifier: an algorithm and the hash of the content (OCI image specification, descriptor.md, digests).
public struct Digest: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// A hash algorithm that names content.
    public enum Algorithm: String, Sendable, Hashable, CaseIterable {
        case sha256
        case sha512

        /// The length of the encoded part, in hexadecimal characters.
        public var encodedLength: Int {
            switch self {
            case .sha256: 64
            case .sha512: 128
            }
        }
    }

    /// The algorithm before the colon.
    public let algorithm: Algorithm
    /// The lower-case hexadecimal after the colon.
    public let encoded: String

    /// Parses `algorithm:encoded`.
    /// - Throws: ``OCIError`` with code `digestInvalid` for any other form, an unknown algorithm or upper case.
    public init(_ text: some StringProtocol) throws {
        guard let colon = text.firstIndex(of: ":"), let algorithm = Algorithm(rawValue: String(text[..<colon])) else {
            throw OCIError(.digestInvalid, "\(text.prefix(160)) is not a sha256 or sha512 digest")
        }
        let encoded = text[text.index(after: colon)...]
        guard encoded.utf8.count == algorithm.encodedLength, encoded.utf8.allSatisfy(Self.isLowerHexadecimal) else {
            throw OCIError(
                .digestInvalid,
                "\(text.prefix(160)): \(algorithm) needs \(algorithm.encodedLength) lower-case hexadecimal characters"
            )
        }
        self.algorithm = algorithm
        self.encoded = String(encoded)
    }

    /// The digest of bytes in memory.
    public init(hashing bytes: some Collection<UInt8>, algorithm: Algorithm = .sha256) {
        var hasher = Hasher(algorithm)
        if bytes.withContiguousStorageIfAvailable({ hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) }) == nil {
            Array(bytes).withUnsafeBytes { hasher.update(bufferPointer: $0) }
        }
        self = hasher.finalize()
    }

    private init(algorithm: Algorithm, hash: some Sequence<UInt8>) {
        self.algorithm = algorithm
        self.encoded = Self.hexadecimal(hash)
    }

    /// `algorithm:encoded`.
    public var description: String { "\(self.algorithm.rawValue):\(self.encoded)" }

    /// Orders by algorithm, then by encoded part.
    public static func < (left: Digest, right: Digest) -> Bool {
        (left.algorithm.rawValue, left.encoded) < (right.algorithm.rawValue, right.encoded)
    }

    /// Hashes content as it streams.
    public struct Hasher: Sendable {
        // One of the two is set: plain optionals let the hash be updated in place, without a copy for each piece.
        private var sha256: SHA256?
        private var sha512: SHA512?

        /// Starts an empty hash.
        public init(_ algorithm: Algorithm = .sha256) {
            switch algorithm {
            case .sha256: self.sha256 = SHA256()
            case .sha512: self.sha512 = SHA512()
            }
        }

        /// Adds bytes.
        public mutating func update(bufferPointer: UnsafeRawBufferPointer) {
            self.sha256?.update(bufferPointer: bufferPointer)
            self.sha512?.update(bufferPointer: bufferPointer)
        }

        /// The digest of everything added so far; more may be added afterwards.
        public func finalize() -> Digest {
            if let hash = self.sha512 {
                Digest(algorithm: .sha512, hash: hash.finalize())
            } else {
                Digest(algorithm: .sha256, hash: (self.sha256 ?? SHA256()).finalize())
            }
        }
    }

    private static func isLowerHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension Digest: Codable {
    /// Reads the text form.
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.description)
    }
}
