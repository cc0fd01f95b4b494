// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
package import NIOCore
import NIOPosix

/// The bytes of an object or a part, kept so that they can be sent again, hashed while they are gathered.
package struct S3Payload: Sendable {
    private enum Hasher: Sendable {
        case md5(Insecure.MD5)
        case sha256(SHA256)
    }

    /// How much memory is taken at once.
    private static let chunkSize = 1 << 20

    /// How many bytes there are.
    package private(set) var count = 0
    /// The bytes, as long as they are in memory.
    private var buffers: [ByteBuffer] = []
    /// The bytes, when there was no memory for all of them.
    private var file: SpilledPayload?
    private let share: S3PayloadMemory.Share?
    private var hasher: Hasher

    /// Nothing yet.
    /// - Parameters:
    ///   - checksum: what will prove that it arrived.
    ///   - memory: bounds what is gathered at once; nil for what is small and seldom.
    package init(_ checksum: S3Configuration.Checksum, memory: S3PayloadMemory? = nil) {
        switch checksum {
        case .md5: self.hasher = .md5(Insecure.MD5())
        case .sha256: self.hasher = .sha256(SHA256())
        }
        self.share = memory.map { S3PayloadMemory.Share($0) }
    }

    /// Whether the bytes are in a file.
    var isSpilled: Bool { self.file != nil }

    /// Adds bytes: copies them to memory of the payload's own, which has no room to spare, or to a file. Takes about 2 ms a MiB,
    /// and may block: not for an event loop.
    /// - Throws: `FileSystemError`.
    package mutating func append(copying bytes: UnsafeRawBufferPointer) throws {
        guard !bytes.isEmpty else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece: UnsafeRawBufferPointer
            if self.file == nil, !self.hasRoom(for: rest.count) { try self.spill() }
            if let file = self.file {
                piece = UnsafeRawBufferPointer(rebasing: rest)
                try file.write(piece, at: self.count)
            } else {
                let last = self.buffers.count - 1
                piece = UnsafeRawBufferPointer(rebasing: rest.prefix(self.buffers[last].writableBytes))
                self.buffers[last].writeBytes(piece)
            }
            self.update(piece)
            self.count += piece.count
            rest = rest.dropFirst(piece.count)
        }
    }

    /// False when there is no more memory.
    private mutating func hasRoom(for count: Int) -> Bool {
        guard self.buffers.last?.writableBytes ?? 0 == 0 else { return true }
        // What is small at first seldom grows.
        let size = self.count == 0 && count < Self.chunkSize / 2 ? count : Self.chunkSize
        // As much as memory is taken in.
        guard self.share?.take(1 << (Int.bitWidth - (size - 1).leadingZeroBitCount)) ?? true else { return false }
        var chunk = ByteBuffer()
        chunk.reserveCapacity(size)
        self.buffers.append(chunk)
        return true
    }

    private mutating func spill() throws {
        guard let share = self.share else { return }
        let file = try SpilledPayload(share.memory)
        var offset = 0
        for buffer in self.buffers {
            try buffer.withUnsafeReadableBytes { try file.write($0, at: offset) }
            offset += buffer.readableBytes
        }
        self.file = file
        self.buffers = []
        share.giveBack()
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

    /// The bytes in pieces that a connection can take one after the other, as often as they are asked for.
    package var pieces: S3PayloadPieces {
        S3PayloadPieces(buffers: self.buffers, file: self.file.map { ($0, self.count) }, share: self.share)
    }
}

/// The bytes of a body, piece by piece, as often as they are asked for.
package struct S3PayloadPieces: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer

    /// How much is handed to the connection at once: of what is there anyway, and of what takes memory for it.
    private static let (memorySize, fileSize) = (256 << 10, 128 << 10)

    fileprivate let buffers: [ByteBuffer]
    fileprivate let file: (bytes: SpilledPayload, count: Int)?
    /// Memory that is still held counts.
    fileprivate let share: S3PayloadMemory.Share?

    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let pieces: S3PayloadPieces
        fileprivate var index = 0
        fileprivate var offset = 0

        package mutating func next() async throws -> ByteBuffer? {
            if let (file, count) = self.pieces.file {
                let (offset, size) = (self.offset, Swift.min(S3PayloadPieces.fileSize, count - self.offset))
                guard size > 0 else { return nil }
                self.offset += size
                return try await NIOThreadPool.singleton.runIfActive { try file.read(at: offset, count: size) }
            }
            while self.index < self.pieces.buffers.count {
                let buffer = self.pieces.buffers[self.index]
                let size = Swift.min(S3PayloadPieces.memorySize, buffer.readableBytes - self.offset)
                if let piece = buffer.getSlice(at: buffer.readerIndex + self.offset, length: size), size > 0 {
                    self.offset += size
                    return piece
                }
                self.index += 1
                self.offset = 0
            }
            return nil
        }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pieces: self) }
}
