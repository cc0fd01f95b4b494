// SPDX-License-Identifier: Apache-2.0

import CZlib

/// Compresses to gzip, always to the same bytes for the same content and library: no name and no time in the header.
final class GzipCompressor {
    // zlib keeps the address of its stream and refuses to go on when it has moved.
    private let stream: UnsafeMutablePointer<z_stream>
    private let output: UnsafeMutableRawBufferPointer

    init(level: Int32 = 6) throws {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.output = .allocate(byteCount: 1 << 16, alignment: 16)
        let status = deflateInit2_(
            self.stream,
            level,
            Z_DEFLATED,
            15 + 16,
            8,
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size)
        )
        guard status == Z_OK else { throw OCIError(.inputOutput, "zlib cannot compress (status \(status))") }
    }

    deinit {
        deflateEnd(self.stream)
        self.stream.deallocate()
        self.output.deallocate()
    }

    /// Compresses a piece and hands out what is ready.
    func update(_ input: UnsafeRawBufferPointer, _ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard !input.isEmpty else { return }
        try self.run(input, Z_NO_FLUSH, sink)
    }

    /// Hands out the rest.
    func finish(_ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        try self.run(UnsafeRawBufferPointer(start: nil, count: 0), Z_FINISH, sink)
    }

    private func run(
        _ input: UnsafeRawBufferPointer,
        _ flush: Int32,
        _ sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard let count = UInt32(exactly: input.count) else {
            throw OCIError(.inputOutput, "too much to compress at once")
        }
        self.stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        )
        self.stream.pointee.avail_in = count
        repeat {
            self.stream.pointee.next_out = self.output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            self.stream.pointee.avail_out = UInt32(self.output.count)
            let status = deflate(self.stream, flush)
            guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
                throw OCIError(.inputOutput, "zlib cannot compress (status \(status))")
            }
            let produced = self.output.count - Int(self.stream.pointee.avail_out)
            if produced > 0 { try sink(UnsafeRawBufferPointer(rebasing: self.output[..<produced])) }
        } while self.stream.pointee.avail_out == 0
    }
}

/// Decompresses gzip, also of several members after each other, up to a bound.
final class GzipDecompressor {
    // zlib keeps the address of its stream and refuses to go on when it has moved.
    private let stream: UnsafeMutablePointer<z_stream>
    private let output: UnsafeMutableRawBufferPointer
    private var remaining: Int64
    private var isAtMemberEnd = false

    /// - Parameter limit: the most bytes that may come out; more is refused, whatever is left of the input.
    init(limit: Int64) throws {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.output = .allocate(byteCount: 1 << 17, alignment: 16)
        self.remaining = limit
        let status = inflateInit2_(self.stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw OCIError(.inputOutput, "zlib cannot decompress (status \(status))") }
    }

    deinit {
        inflateEnd(self.stream)
        self.stream.deallocate()
        self.output.deallocate()
    }

    /// Decompresses a piece and hands out what came of it.
    /// - Throws: ``OCIError`` with code `archiveInvalid` for what is not gzip or is too much.
    func update(_ input: UnsafeRawBufferPointer, _ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard let count = UInt32(exactly: input.count) else {
            throw OCIError(.inputOutput, "too much to decompress at once")
        }
        self.stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        )
        self.stream.pointee.avail_in = count
        var hasMore = count > 0
        while hasMore {
            if self.isAtMemberEnd {
                guard inflateReset(self.stream) == Z_OK else { throw Self.broken("cannot start another member") }
                self.isAtMemberEnd = false
            }
            self.stream.pointee.next_out = self.output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            self.stream.pointee.avail_out = UInt32(self.output.count)
            let status = inflate(self.stream, Z_NO_FLUSH)
            guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
                throw Self.broken("status \(status)")
            }
            let produced = self.output.count - Int(self.stream.pointee.avail_out)
            self.remaining -= Int64(produced)
            guard self.remaining >= 0 else { throw Self.broken("it decompresses to more than is accepted") }
            if produced > 0 { try sink(UnsafeRawBufferPointer(rebasing: self.output[..<produced])) }
            self.isAtMemberEnd = status == Z_STREAM_END
            hasMore = self.stream.pointee.avail_in > 0 || (!self.isAtMemberEnd && self.stream.pointee.avail_out == 0)
        }
    }

    /// Checks that the end came.
    func finish() throws {
        guard self.isAtMemberEnd else { throw Self.broken("it is cut off") }
    }

    private static func broken(_ detail: String) -> OCIError {
        OCIError(.archiveInvalid, "the gzip data is broken: \(detail)")
    }
}

/// How content is compressed, by its first bytes.
enum Compression {
    case none
    case gzip
    case zstd

    init(_ magic: some Collection<UInt8>) {
        if magic.starts(with: [0x1F, 0x8B, 0x08]) {
            self = .gzip
        } else if magic.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) {
            self = .zstd
        } else {
            self = .none
        }
    }
}
