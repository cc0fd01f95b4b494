// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOPosix

/// Several parts of a blob as one body, `multipart/byteranges` (RFC 9110, section 14.6). Clients that have most of a layer
/// ask so for the rest.
struct MultipartRanges: Sendable {
    /// How much of a file is in memory at once.
    private static let chunkSize: Int64 = 256 << 10

    private let parts: [(head: ByteBuffer, range: Range<Int64>)]
    private let end: ByteBuffer
    private let boundary: String

    /// - Parameter boundary: What separates the parts: nobody who made the blob could have known it.
    init(_ ranges: [Range<Int64>], size: Int64, boundary: String) {
        self.boundary = boundary
        self.parts = ranges.map { range in
            let head = """
                \r\n--\(boundary)\r\nContent-Type: application/octet-stream\r\n\
                Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)\r\n\r\n
                """
            return (ByteBuffer(string: head), range)
        }
        self.end = ByteBuffer(string: "\r\n--\(boundary)--\r\n")
    }

    /// A boundary that cannot be foreseen.
    static func randomBoundary() -> String {
        var generator = SystemRandomNumberGenerator()
        return "part-" + String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
    }

    var contentType: String { "multipart/byteranges; boundary=\(self.boundary)" }

    /// - Parameters:
    ///   - threads: Where files are read.
    ///   - open: Gives the bytes of a part.
    func body(
        threads: NIOThreadPool,
        open: @escaping @Sendable (Range<Int64>) async throws -> HTTPResponse.Body
    ) -> HTTPResponse.Body {
        // The ranges are parts of one blob and do not overlap, and there are few of them: nothing can overflow.
        let length = self.parts.reduce(into: Int64(self.end.readableBytes)) { sum, part in
            sum += Int64(part.head.readableBytes) + (part.range.upperBound - part.range.lowerBound)
        }
        return .stream(length: length) { writer in
            for part in self.parts {
                try await writer.write(part.head)
                try await Self.send(open(part.range), to: writer, threads)
            }
            try await writer.write(self.end)
        }
    }

    private static func send(
        _ body: HTTPResponse.Body,
        to writer: any HTTPBodyWriter,
        _ threads: NIOThreadPool
    ) async throws {
        switch body {
        case .bytes(let bytes): try await writer.write(bytes)
        case .file(let file): try await self.send(file, to: writer, threads)
        case .stream(_, let produce): try await produce(writer)
        case .empty, .absent: break
        }
    }

    private static func send(
        _ body: HTTPFileBody,
        to writer: any HTTPBodyWriter,
        _ threads: NIOThreadPool
    ) async throws {
        let files = NonBlockingFileIO(threadPool: threads)
        let result: Result<Void, any Error>
        do {
            var offset = body.range.lowerBound
            while offset < body.range.upperBound {
                let chunk = try await files.read(
                    fileHandle: body.file,
                    fromOffset: offset,
                    byteCount: Int(clamping: min(body.range.upperBound - offset, Self.chunkSize)),
                    allocator: ByteBufferAllocator()
                )
                guard chunk.readableBytes > 0 else { throw EndedEarly(at: offset) }
                offset += Int64(chunk.readableBytes)
                try await writer.write(chunk)
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try body.file.close()
        try result.get()
    }

    /// The bytes of a blob are fewer than its size.
    private struct EndedEarly: Error, CustomStringConvertible {
        let at: Int64
        var description: String { "the bytes of the blob end at \(self.at)" }
    }
}
