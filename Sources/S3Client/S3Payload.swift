// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
package import NIOCore

/// The bytes of an object or a part, in memory so that they can be sent again, hashed while they are gathered.
package struct S3Payload: Sendable {
    private enum Hasher: Sendable {
        case md5(Insecure.MD5)
        case sha256(SHA256)
    }

    /// How much is handed to the connection at once.
    private static let pieceSize = 256 << 10
    /// How much memory is taken at once.
    private static let chunkSize = 1 << 20

    /// How many bytes there are.
    package private(set) var count = 0
    /// The bytes.
    package private(set) var buffers: [ByteBuffer] = []
    private var hasher: Hasher

    /// Nothing yet.
    /// - Parameter checksum: what will prove that it arrived.
    package init(_ checksum: S3Configuration.Checksum) {
        switch checksum {
        case .md5: self.hasher = .md5(Insecure.MD5())
        case .sha256: self.hasher = .sha256(SHA256())
        }
    }

    /// Adds bytes. Takes about 2 ms a MiB: not for an event loop.
    package mutating func append(_ buffer: ByteBuffer) {
        guard buffer.readableBytes > 0 else { return }
        self.count += buffer.readableBytes
        self.buffers.append(buffer)
        buffer.withUnsafeReadableBytes { self.update($0) }
    }

    /// Adds bytes to memory of the payload's own, which has no room to spare.
    package mutating func append(copying bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            if self.buffers.last?.writableBytes ?? 0 == 0 {
                var chunk = ByteBuffer()
                // What is small at first seldom grows.
                chunk.reserveCapacity(self.count == 0 && rest.count < Self.chunkSize / 2 ? rest.count : Self.chunkSize)
                self.buffers.append(chunk)
            }
            let last = self.buffers.count - 1
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(self.buffers[last].writableBytes))
            self.buffers[last].writeBytes(piece)
            self.update(piece)
            self.count += piece.count
            rest = rest.dropFirst(piece.count)
        }
    }

    private mutating func update(_ bytes: UnsafeRawBufferPointer) {
        switch self.hasher {
        case .md5(var hasher):
            hasher.update(bufferPointer: bytes)
            self.hasher = .md5(hasher)
        case .sha256(var hasher):
            hasher.update(bufferPointer: bytes)
            self.hasher = .sha256(hasher)
        }
    }

    /// `Content-MD5`, if that is what proves.
    var contentMD5: String? {
        guard case .md5(let hasher) = self.hasher else { return nil }
        return Data(hasher.finalize()).base64EncodedString()
    }

    /// What the signature says of the body.
    var signed: String {
        guard case .sha256(let hasher) = self.hasher else { return S3Signature.unsignedPayload }
        return hasher.finalize().hexadecimal
    }

    /// The bytes in pieces that a connection can take one after the other.
    var pieces: S3PayloadPieces { S3PayloadPieces(buffers: self.buffers, size: Self.pieceSize) }
}

/// The bytes of a body, piece by piece, as often as they are asked for.
struct S3PayloadPieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let buffers: [ByteBuffer]
    let size: Int

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var rest: ArraySlice<ByteBuffer>
        fileprivate var current = ByteBuffer()
        fileprivate let size: Int

        mutating func next() async -> ByteBuffer? {
            while self.current.readableBytes == 0 {
                guard let next = self.rest.popFirst() else { return nil }
                self.current = next
            }
            return self.current.readSlice(length: Swift.min(self.size, self.current.readableBytes))
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(rest: self.buffers[...], size: self.size) }
}
