// SPDX-License-Identifier: Apache-2.0

/// An element of an S3 reply: a name, text or other elements. Attributes and namespaces mean nothing there and are
/// dropped.
///
/// Only what such replies are made of is read: no document types and hence no entities but the five of XML and numbers,
/// bounded in depth and number. Foundation's parser would bring a library of its own along for a handful of elements.
struct XMLNode: Sendable, Equatable {
    /// The name without its prefix.
    let name: String
    /// The characters directly within it.
    var text = ""
    var children: [XMLNode] = []

    /// The first child of a name.
    subscript(name: String) -> XMLNode? { self.children.first { $0.name == name } }

    /// All children of a name.
    func all(_ name: String) -> [XMLNode] { self.children.filter { $0.name == name } }

    /// Why a document cannot be read.
    struct Malformed: Error, Equatable {
        let reason: String
        /// In bytes from the beginning.
        let offset: Int
    }

    init(name: String, text: String = "", children: [XMLNode] = []) {
        self.name = name
        self.text = text
        self.children = children
    }

    /// Reads a document.
    /// - Parameter bytes: UTF-8; spaces before the declaration are those that keep a connection alive.
    init(parsing bytes: [UInt8]) throws(Malformed) {
        var reader = XMLReader(bytes)
        self = try reader.document()
    }
}

private struct XMLReader {
    private static let maximumDepth = 16
    private static let maximumElements = 50_000

    private let bytes: [UInt8]
    private var position = 0
    private var elements = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(XMLNode.Malformed) -> XMLNode {
        _ = self.takes("\u{FEFF}")
        try self.skipMisc()
        let root = try self.element(depth: 0)
        try self.skipMisc()
        guard self.position == self.bytes.count else { throw self.malformed("bytes after the document's end") }
        return root
    }

    private func malformed(_ reason: String) -> XMLNode.Malformed {
        XMLNode.Malformed(reason: reason, offset: self.position)
    }

    private var current: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private func isNext(_ text: String) -> Bool {
        self.bytes[self.position...].starts(with: text.utf8)
    }

    private mutating func takes(_ text: String) -> Bool {
        guard self.isNext(text) else { return false }
        self.position += text.utf8.count
        return true
    }

    private mutating func skip(past end: String) throws(XMLNode.Malformed) {
        while self.position < self.bytes.count {
            if self.takes(end) { return }
            self.position += 1
        }
        throw self.malformed("no \(end)")
    }

    private mutating func skipSpace() {
        while let byte = self.current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { self.position += 1 }
    }

    /// Spaces, comments, and processing instructions with the declaration among them.
    private mutating func skipMisc() throws(XMLNode.Malformed) {
        while true {
            self.skipSpace()
            if self.takes("<?") {
                try self.skip(past: "?>")
            } else if self.takes("<!--") {
                try self.skip(past: "-->")
            } else {
                return
            }
        }
    }

    private mutating func element(depth: Int) throws(XMLNode.Malformed) -> XMLNode {
        self.elements += 1
        guard depth < Self.maximumDepth, self.elements <= Self.maximumElements else {
            throw self.malformed("too many elements, or within too many others")
        }
        guard self.takes("<") else { throw self.malformed("no element") }
        let name = try self.name()
        var node = XMLNode(name: String(name.split(separator: ":").last ?? ""))
        guard try self.attributes() else { return node }
        var text: [UInt8] = []
        while let byte = self.current {
            if self.takes("<!--") {
                try self.skip(past: "-->")
            } else if self.takes("<![CDATA[") {
                let start = self.position
                try self.skip(past: "]]>")
                text += self.bytes[start..<self.position - 3]
            } else if self.takes("</") {
                guard try self.name() == name else { throw self.malformed("the end of another element than \(name)") }
                self.skipSpace()
                guard self.takes(">") else { throw self.malformed("no > after \(name)") }
                guard let characters = String(validating: text, as: UTF8.self) else {
                    throw self.malformed("text that is not UTF-8")
                }
                node.text = characters
                return node
            } else if byte == UInt8(ascii: "<") {
                node.children.append(try self.element(depth: depth + 1))
            } else if byte == UInt8(ascii: "&") {
                text += try self.reference()
            } else {
                text.append(byte)
                self.position += 1
            }
        }
        throw self.malformed("the document ends within \(name)")
    }

    private mutating func name() throws(XMLNode.Malformed) -> String {
        let start = self.position
        while let byte = self.current, Self.isNameByte(byte) { self.position += 1 }
        guard start < self.position, self.position - start <= 128,
            let name = String(validating: self.bytes[start..<self.position], as: UTF8.self)
        else { throw self.malformed("no name") }
        return name
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: ":"):
            true
        default: byte >= 0x80
        }
    }

    /// Skips the attributes up to the end of a tag.
    /// - Returns: false for an element that ends with its tag.
    private mutating func attributes() throws(XMLNode.Malformed) -> Bool {
        while true {
            self.skipSpace()
            if self.takes("/>") { return false }
            if self.takes(">") { return true }
            _ = try self.name()
            self.skipSpace()
            guard self.takes("=") else { throw self.malformed("an attribute without a value") }
            self.skipSpace()
            guard let quote = self.current, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
                throw self.malformed("an attribute without quotes")
            }
            self.position += 1
            while let byte = self.current, byte != quote {
                guard byte != UInt8(ascii: "<") else { throw self.malformed("< in an attribute") }
                self.position += 1
            }
            guard self.current != nil else { throw self.malformed("no end of an attribute") }
            self.position += 1
        }
    }

    private mutating func reference() throws(XMLNode.Malformed) -> [UInt8] {
        let start = self.position + 1
        guard let end = self.bytes[start...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else {
            throw self.malformed("& without ;")
        }
        let name = String(decoding: self.bytes[start..<end], as: UTF8.self)
        let character: String?
        switch name {
        case "amp": character = "&"
        case "lt": character = "<"
        case "gt": character = ">"
        case "quot": character = "\""
        case "apos": character = "'"
        case _ where name.hasPrefix("#x"): character = Self.character(name.dropFirst(2), radix: 16)
        case _ where name.hasPrefix("#"): character = Self.character(name.dropFirst(), radix: 10)
        default: character = nil
        }
        guard let character else { throw self.malformed("the entity \(name)") }
        self.position = end + 1
        return Array(character.utf8)
    }

    private static func character(_ digits: Substring, radix: Int) -> String? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let number = UInt32(digits, radix: radix), number > 0, let scalar = Unicode.Scalar(number)
        else { return nil }
        return String(Character(scalar))
    }
}
