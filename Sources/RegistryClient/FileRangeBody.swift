// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import OCI

/// The bytes of a file's part as a request body: read on the thread pool when the connection wants more.
struct FileRangeBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    private static let pieceLength = 256 << 10

    private let reader: FileRange.Reader
    private let position: Int64
    private let progress: @Sendable (Int) -> Void

    init(_ range: FileRange, from position: Int64, progress: @escaping @Sendable (Int) -> Void) throws {
        self.reader = try range.open()
        self.position = position
        self.progress = progress
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let reader: FileRange.Reader
        fileprivate var position: Int64
        fileprivate let progress: @Sendable (Int) -> Void

        mutating func next() async throws -> ByteBuffer? {
            let (reader, position) = (self.reader, self.position)
            guard position < reader.range.length else { return nil }
            let buffer = try await NIOThreadPool.singleton.runIfActive {
                var buffer = ByteBufferAllocator().buffer(capacity: FileRangeBody.pieceLength)
                try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: FileRangeBody.pieceLength) { free in
                    try reader.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: free.prefix(FileRangeBody.pieceLength)),
                        at: position
                    )
                }
                return buffer
            }
            self.position += Int64(buffer.readableBytes)
            self.progress(buffer.readableBytes)
            return buffer
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(reader: self.reader, position: self.position, progress: self.progress)
    }
}
