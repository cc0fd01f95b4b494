// SPDX-License-Identifier: Apache-2.0

/// Where the bytes of a blob are: a part of a file, or the whole of it.
public struct FileRange: Sendable, Hashable {
    /// The file.
    public let path: String
    /// The first byte.
    public let offset: Int64
    /// How many bytes.
    public let length: Int64

    /// Names a part of a file.
    public init(path: String, offset: Int64 = 0, length: Int64) {
        self.path = path
        self.offset = offset
        self.length = length
    }

    /// Opens the file.
    /// - Throws: ``OCIError`` with code `inputOutput`, or `archiveInvalid` when the file is too short for the range.
    public func open() throws -> Reader {
        try Reader(self)
    }

    /// Reads the bytes of a range, at any place in it. Calls block; any number of callers.
    public final class Reader: Sendable {
        /// What is read.
        public let range: FileRange
        private let file: InputFile

        fileprivate init(_ range: FileRange) throws {
            self.range = range
            self.file = try InputFile(path: range.path)
            let (end, overflow) = range.offset.addingReportingOverflow(range.length)
            guard range.offset >= 0, range.length >= 0, !overflow, end <= self.file.size else {
                throw OCIError(
                    .archiveInvalid,
                    "\(range.path) has \(self.file.size) bytes, too few for \(range.length) at \(range.offset)"
                )
            }
        }

        /// Reads bytes into a buffer, as many as fit and are there.
        /// - Parameters:
        ///   - buffer: where to put them.
        ///   - position: where to begin, from the start of the range.
        /// - Returns: how many bytes were read; 0 only at the range's end.
        /// - Throws: ``OCIError`` with code `inputOutput`, also when the file has become shorter.
        public func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) throws -> Int {
            guard position >= 0, position < self.range.length else { return 0 }
            let count = Int(min(Int64(buffer.count), self.range.length - position))
            guard count > 0 else { return 0 }
            let found = try self.file.read(
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]),
                at: self.range.offset + position
            )
            guard found == count else {
                throw OCIError(.inputOutput, "\(self.range.path) became shorter while it was read")
            }
            return found
        }

        /// All bytes, piece by piece.
        public func forEachPiece(
            ofLength length: Int = 1 << 18,
            _ body: (UnsafeRawBufferPointer) throws -> Void
        ) throws {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, length), alignment: 16)
            defer { buffer.deallocate() }
            var position: Int64 = 0
            while position < self.range.length {
                let count = try self.read(into: buffer, at: position)
                try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                position += Int64(count)
            }
        }

        /// All bytes at once.
        /// - Throws: ``OCIError`` with code `archiveInvalid` when there are more than `limit`.
        public func readAll(limit: Int) throws -> [UInt8] {
            guard self.range.length <= Int64(limit) else {
                throw OCIError(
                    .archiveInvalid,
                    "\(self.range.path): \(self.range.length) bytes where at most \(limit) are expected"
                )
            }
            return try self.file.bytes(at: self.range.offset, count: Int(self.range.length))
        }

        /// The digest of all bytes.
        public func digest(_ algorithm: Digest.Algorithm = .sha256) throws -> Digest {
            var hasher = Digest.Hasher(algorithm)
            try self.forEachPiece { hasher.update(bufferPointer: $0) }
            return hasher.finalize()
        }
    }
}
