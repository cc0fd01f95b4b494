// SPDX-License-Identifier: Apache-2.0

/// Writes a tar file: ustar, a pax header for long names, always the same bytes for the same content.
///
/// The size of an entry need not be known before: its header is written again when the entry ends.
package final class TarWriter {
    private let file: OutputFile
    private var open: (name: String, header: Int64)?

    /// Makes a file that was not there before.
    package init(creating path: String) throws {
        self.file = try OutputFile(creating: path)
    }

    /// Starts a file; the bytes that follow are its content.
    package func begin(_ name: String) throws {
        try self.end()
        if name.utf8.count > 100 {
            let record = Self.paxRecord("path", name)
            try self.file.write(Self.header(name: "pax", size: Int64(record.count), type: UInt8(ascii: "x")))
            try self.file.write(record)
            try self.pad()
        }
        self.open = (name, self.file.position)
        try self.file.write([UInt8](repeating: 0, count: 512))
    }

    /// Adds to the content of the file that was started.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        try self.file.write(bytes)
    }

    /// Adds a file.
    package func add(_ name: String, _ bytes: [UInt8]) throws {
        try self.begin(name)
        try self.file.write(bytes)
    }

    /// Adds a file.
    package func add(_ name: String, _ range: FileRange) throws {
        try self.begin(name)
        try range.open().forEachPiece { try self.file.write($0) }
    }

    /// Adds a directory.
    package func addDirectory(_ name: String) throws {
        try self.end()
        try self.file.write(Self.header(name: name + "/", size: 0, type: UInt8(ascii: "5")))
    }

    /// Ends the archive and makes it durable.
    package func finish() throws {
        try self.end()
        try self.file.write([UInt8](repeating: 0, count: 1024))
        try self.file.finish()
    }

    private func end() throws {
        guard let (name, header) = self.open else { return }
        self.open = nil
        let size = self.file.position - header - 512
        try self.file.overwrite(Self.header(name: name, size: size, type: UInt8(ascii: "0")), at: header)
        try self.pad()
    }

    private func pad() throws {
        let excess = Int(self.file.position % 512)
        if excess > 0 { try self.file.write([UInt8](repeating: 0, count: 512 - excess)) }
    }

    private static func paxRecord(_ key: String, _ value: String) -> [UInt8] {
        let body = " \(key)=\(value)\n"
        var length = body.utf8.count
        while length != body.utf8.count + String(length).utf8.count {
            length = body.utf8.count + String(length).utf8.count
        }
        return Array((String(length) + body).utf8)
    }

    static func header(name: String, size: Int64, type: UInt8) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: some Collection<UInt8>, _ offset: Int) {
            header.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        }
        func octal(_ value: Int64, _ digits: Int) -> [UInt8] {
            let text = String(value, radix: 8)
            return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
        }
        put(name.utf8.prefix(100), 0)
        put(octal(type == UInt8(ascii: "5") ? 0o755 : 0o644, 7), 100)
        put(octal(0, 7), 108)
        put(octal(0, 7), 116)
        if size < 1 << 33 {
            put(octal(size, 11), 124)
        } else {
            // GNU's binary form keeps the header one block, whatever the size turns out to be.
            header[124] = 0x80
            for index in 0..<8 { header[128 + index] = UInt8(truncatingIfNeeded: size >> Int64(56 - 8 * index)) }
        }
        put(octal(0, 11), 136)
        header[156] = type
        put(Array("ustar".utf8), 257)
        put(Array("00".utf8), 263)
        put([UInt8](repeating: 0x20, count: 8), 148)
        let sum = header.reduce(Int64(0)) { $0 + Int64($1) }
        put(octal(sum, 6) + [0, 0x20], 148)
        return header
    }
}
