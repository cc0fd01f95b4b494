// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import OCI

/// An archive as a request body: read on the thread pool when the connection wants more.
struct ArchivePieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    private static let pieceLength = 256 << 10

    let parts: [ImageArchive.Part]

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var parts: ArraySlice<ImageArchive.Part>
        private var reader: FileRange.Reader?
        private var position: Int64 = 0

        fileprivate init(_ parts: [ImageArchive.Part]) {
            self.parts = parts[...]
        }

        mutating func next() async throws -> ByteBuffer? {
            while true {
                if let reader = self.reader {
                    let position = self.position
                    let piece = try await NIOThreadPool.singleton.runIfActive { try Self.read(reader, at: position) }
                    if piece.readableBytes > 0 {
                        self.position += Int64(piece.readableBytes)
                        return piece
                    }
                    self.reader = nil
                }
                switch self.parts.popFirst() {
                case nil: return nil
                case .bytes(let bytes): return ByteBuffer(bytes: bytes)
                case .file(let range):
                    self.reader = try await NIOThreadPool.singleton.runIfActive { try range.open() }
                    self.position = 0
                }
            }
        }

        private static func read(_ reader: FileRange.Reader, at position: Int64) throws -> ByteBuffer {
            var buffer = ByteBufferAllocator().buffer(capacity: ArchivePieces.pieceLength)
            try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: ArchivePieces.pieceLength) { free in
                try reader.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: free.prefix(ArchivePieces.pieceLength)),
                    at: position
                )
            }
            return buffer
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self.parts) }
}
