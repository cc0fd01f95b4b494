// SPDX-License-Identifier: Apache-2.0

/// The list of what a tar file holds: ustar, with pax and GNU long names and sizes (POSIX pax, GNU tar manual "Basic Tar
/// Format").
///
/// Only the headers are read. Names are brought to one form without `./` and trailing slashes; names that are absolute or go
/// up with `..` are refused, as are two files of the same name, sparse files, and headers whose checksum is wrong.
package struct TarArchive: Sendable {
    /// One member.
    package struct Entry: Sendable, Hashable {
        /// What it is.
        package enum Kind: Sendable, Hashable {
            case file
            case directory
            case symbolicLink
            case hardLink
            case other
        }

        /// Its name, in one form for each.
        package let name: String
        /// What it is.
        package let kind: Kind
        /// Of a link, where it leads.
        package let linkTarget: String
        /// Where its bytes are.
        package let content: FileRange
    }

    /// The most entries; an archive of images has some hundreds.
    static let maximumEntries = 200_000
    /// The most bytes of a pax header or long name.
    static let maximumExtension = 1 << 20

    /// The file.
    package let path: String
    private let entries: [String: Entry]

    /// The names of all entries, sorted.
    var names: [String] { self.entries.keys.sorted() }

    /// All entries, in the order in which they lie in the file.
    package var members: [Entry] { self.entries.values.sorted { $0.content.offset < $1.content.offset } }

    /// Reads all headers.
    /// - Throws: ``OCIError`` with code `archiveInvalid`, or `inputOutput`.
    package init(path: String) throws {
        self.path = path
        let file = try InputFile(path: path)
        var scanner = TarScanner(file: file)
        var entries: [String: Entry] = [:]
        while let entry = try scanner.next() {
            guard entries.count < Self.maximumEntries else {
                throw OCIError(.archiveInvalid, "\(path) has more than \(Self.maximumEntries) entries")
            }
            let previous = entries.updateValue(entry, forKey: entry.name)
            guard previous == nil || (previous?.kind == .directory && entry.kind == .directory) else {
                throw OCIError(
                    .archiveInvalid,
                    "\(path) has two entries \(entry.name): readers would differ in which they take"
                )
            }
        }
        self.entries = entries
    }

    /// The content of a file, following links that stay inside the archive.
    /// - Returns: nil when there is no such entry.
    /// - Throws: ``OCIError`` with code `archiveInvalid` for links that lead out or in circles, and for what is no file.
    func content(_ name: String) throws -> FileRange? {
        var name = name
        for _ in 0..<16 {
            guard let entry = self.entries[name] else { return nil }
            switch entry.kind {
            case .file:
                return entry.content
            case .symbolicLink:
                let directory = name.split(separator: "/").dropLast()
                name = try Self.resolve(entry.linkTarget, from: Array(directory), of: name)
            case .hardLink:
                name = try Self.resolve(entry.linkTarget, from: [], of: name)
            case .directory, .other:
                throw OCIError(.archiveInvalid, "\(self.path): \(name) is not a file")
            }
        }
        throw OCIError(.archiveInvalid, "\(self.path): \(name) is a circle of links")
    }

    private static func resolve(_ target: String, from directory: [Substring], of name: String) throws -> String {
        guard !target.hasPrefix("/"), !target.isEmpty else {
            throw OCIError(.archiveInvalid, "link \(name) to \"\(target)\" leads out of the archive")
        }
        var parts = directory
        for part in target.split(separator: "/") where part != "." {
            if part == ".." {
                guard parts.popLast() != nil else {
                    throw OCIError(.archiveInvalid, "link \(name) to \(target) leads out of the archive")
                }
            } else {
                parts.append(part)
            }
        }
        return parts.joined(separator: "/")
    }
}

/// Walks over the headers of a tar file.
private struct TarScanner {
    private let file: InputFile
    private var position: Int64 = 0
    private var longName: String?
    private var longLink: String?
    private var longSize: Int64?

    init(file: InputFile) {
        self.file = file
    }

    mutating func next() throws -> TarArchive.Entry? {
        while self.position < self.file.size {
            let header = try self.file.bytes(at: self.position, count: 512)
            if header.allSatisfy({ $0 == 0 }) {
                guard self.longName == nil, self.longLink == nil, self.longSize == nil else {
                    throw self.broken("ends after an extension header")
                }
                return nil
            }
            try self.check(header)
            let type = header[156]
            let isExtension = [UInt8(ascii: "x"), UInt8(ascii: "g"), UInt8(ascii: "L"), UInt8(ascii: "K")].contains(
                type
            )
            let size = try (isExtension ? nil : self.longSize) ?? self.number(header[124..<136], "size")
            let start = self.position + 512
            guard size >= 0, size <= self.file.size - start else {
                throw self.broken("promises \(size) bytes, but the file has only \(self.file.size - start) more")
            }
            // Without sums that overflow: a file of holes may be as large as can be counted.
            let rest = self.file.size - start
            let padding = (512 - size % 512) % 512
            let entryPosition = self.position
            self.position = size > rest - padding ? self.file.size : start + size + padding
            if isExtension {
                try self.readExtension(type, FileRange(path: self.file.path, offset: start, length: size))
            } else if let entry = try self.entry(
                header,
                type,
                FileRange(path: self.file.path, offset: start, length: size)
            ) {
                return entry
            } else {
                guard entryPosition < self.position else { throw self.broken("does not advance") }
            }
        }
        let hasExtension = self.longName != nil || self.longLink != nil || self.longSize != nil
        guard self.position <= self.file.size, !hasExtension else { throw self.broken("is cut off") }
        return nil
    }

    private mutating func entry(_ header: [UInt8], _ type: UInt8, _ content: FileRange) throws -> TarArchive.Entry? {
        defer { (self.longName, self.longLink, self.longSize) = (nil, nil, nil) }
        let raw = try self.longName ?? self.shortName(header)
        let kind: TarArchive.Entry.Kind =
            switch type {
            case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): raw.hasSuffix("/") ? .directory : .file
            case UInt8(ascii: "1"): .hardLink
            case UInt8(ascii: "2"): .symbolicLink
            case UInt8(ascii: "5"): .directory
            case UInt8(ascii: "S"): throw self.broken("is a sparse file, which is not supported")
            default: .other
            }
        guard let name = try self.normalize(raw) else { return nil }
        return try TarArchive.Entry(
            name: name,
            kind: kind,
            linkTarget: self.longLink ?? self.text(header[157..<257]),
            content: content
        )
    }

    private func shortName(_ header: [UInt8]) throws -> String {
        let short = try self.text(header[0..<100])
        // GNU's own format has a space here, and other things where ustar has the prefix.
        guard header[257..<263].elementsEqual(Array("ustar".utf8) + [0]) else { return short }
        let prefix = try self.text(header[345..<500])
        return prefix.isEmpty ? short : prefix + "/" + short
    }

    /// One form for each name; nil for the top directory itself.
    private func normalize(_ raw: String) throws -> String? {
        guard !raw.hasPrefix("/"), !raw.utf8.contains(0) else {
            throw OCIError(
                .archiveInvalid,
                "\(self.file.path): entry name \"\(raw.prefix(160))\" is absolute or has a NUL"
            )
        }
        let parts = raw.split(separator: "/").filter { $0 != "." }
        guard !parts.contains("..") else {
            throw OCIError(
                .archiveInvalid,
                "\(self.file.path): entry name \"\(raw.prefix(160))\" leads out of the archive"
            )
        }
        return parts.isEmpty ? nil : parts.joined(separator: "/")
    }

    private mutating func readExtension(_ type: UInt8, _ content: FileRange) throws {
        guard content.length <= TarArchive.maximumExtension else {
            throw self.broken("has a too long extension header")
        }
        let bytes = try self.file.bytes(at: content.offset, count: Int(content.length))
        switch type {
        case UInt8(ascii: "L"): self.longName = try self.text(bytes[...])
        case UInt8(ascii: "K"): self.longLink = try self.text(bytes[...])
        default: try self.readPax(bytes, isGlobal: type == UInt8(ascii: "g"))
        }
    }

    /// Records `length key=value\n`, where length counts the whole record.
    private mutating func readPax(_ bytes: [UInt8], isGlobal: Bool) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let space = rest.prefix(20).firstIndex(of: UInt8(ascii: " ")),
                let length = Int(String(decoding: rest[rest.startIndex..<space], as: UTF8.self)), length >= 5,
                length <= rest.count, space + 1 < rest.startIndex + length
            else { throw self.broken("has a broken pax record") }
            let record = rest[(space + 1)..<(rest.startIndex + length)]
            guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                throw self.broken("has a broken pax record")
            }
            let key = String(decoding: record[..<equals], as: UTF8.self)
            guard let value = String(validating: record[(equals + 1)...].dropLast(), as: UTF8.self) else {
                throw self.broken("has a pax record that is not UTF-8")
            }
            try self.takePax(key, value, isGlobal: isGlobal)
            rest = rest.dropFirst(length)
        }
    }

    private mutating func takePax(_ key: String, _ value: String, isGlobal: Bool) throws {
        guard ["path", "linkpath", "size"].contains(key) || key.hasPrefix("GNU.sparse") else { return }
        guard !isGlobal else { throw self.broken("has a global pax header for \(key)") }
        switch key {
        case "path": self.longName = value
        case "linkpath": self.longLink = value
        case "size":
            guard let size = Int64(value), size >= 0, value.utf8.allSatisfy({ (48...57).contains($0) }) else {
                throw self.broken("has a bad size in its pax header")
            }
            self.longSize = size
        default: throw self.broken("is a sparse file, which is not supported")
        }
    }

    private func check(_ header: [UInt8]) throws {
        let expected = try self.number(header[148..<156], "checksum")
        var unsigned: Int64 = 0
        var signed: Int64 = 0
        for (index, byte) in header.enumerated() {
            let value = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
            unsigned += Int64(value)
            signed += Int64(Int8(bitPattern: value))
        }
        guard expected == unsigned || expected == signed else {
            throw self.broken("has a header with a wrong checksum")
        }
    }

    /// Octal digits, or binary when the first bit is set.
    private func number(_ field: ArraySlice<UInt8>, _ what: String) throws -> Int64 {
        if let first = field.first, first & 0x80 != 0 {
            var value: Int64 = Int64(first & 0x7F)
            for byte in field.dropFirst() {
                guard first == 0x80, value <= Int64.max >> 8 else { throw self.broken("has a bad \(what)") }
                value = value << 8 | Int64(byte)
            }
            return value
        }
        let digits = field.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != UInt8(ascii: " ") && $0 != 0 }
        guard digits.allSatisfy({ (48...55).contains($0) }) else { throw self.broken("has a bad \(what)") }
        return digits.reduce(0) { $0 << 3 | Int64($1 - 48) }
    }

    private func text(_ field: ArraySlice<UInt8>) throws -> String {
        guard let text = String(validating: field.prefix { $0 != 0 }, as: UTF8.self) else {
            throw self.broken("has a name that is not UTF-8")
        }
        return text
    }

    private func broken(_ detail: String) -> OCIError {
        OCIError(.archiveInvalid, "\(self.file.path): the tar entry before byte \(self.position) \(detail)")
    }
}
