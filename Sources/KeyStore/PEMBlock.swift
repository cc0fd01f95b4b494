// SPDX-License-Identifier: Apache-2.0

import struct Foundation.Data

/// One block of a PEM file with its headers (RFC 1421), which is how Notary notes role and collection of a key.
package struct PEMBlock: Sendable, Hashable {
    /// More bytes than a file of keys may have.
    package static let maximumFileSize = 4 << 20
    private static let maximumBlocks = 1024
    private static let maximumHeaders = 16

    /// What stands in the BEGIN line.
    package var type: String
    /// The headers by name. Written in the order of their names, `Proc-Type` first.
    package var headers: [String: String]
    /// The content.
    package var content: [UInt8]

    package init(type: String, headers: [String: String] = [:], content: [UInt8]) {
        self.type = type
        self.headers = headers
        self.content = content
    }

    /// Reads all blocks of a file; text around them is skipped.
    /// - Throws: ``KeyStoreError`` with code `malformed` for a block without its end, without base64, or when there is none.
    package static func parse(_ text: String) throws -> [PEMBlock] {
        guard text.utf8.count <= self.maximumFileSize else {
            throw KeyStoreError(.malformed, "a PEM file of more than \(self.maximumFileSize) bytes")
        }
        // A CR LF is one Character in Swift, so lines are split by bytes.
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
            Self.trim(String(decoding: line, as: UTF8.self))
        }
        var blocks: [PEMBlock] = []
        var index = 0
        while index < lines.count {
            defer { index += 1 }
            guard let type = self.label(of: lines[index], after: "-----BEGIN ") else { continue }
            guard blocks.count < self.maximumBlocks else {
                throw KeyStoreError(.malformed, "a PEM file of more than \(self.maximumBlocks) blocks")
            }
            guard
                let end = lines[(index + 1)...].firstIndex(where: { $0.hasPrefix("-----") }),
                self.label(of: lines[end], after: "-----END ") == type
            else { throw KeyStoreError(.malformed, "the PEM block \"\(type.prefix(64))\" has no matching END line") }
            blocks.append(try self.block(type: type, lines: lines[(index + 1)..<end]))
            index = end
        }
        guard !blocks.isEmpty else { throw KeyStoreError(.malformed, "no PEM block was found") }
        return blocks
    }

    private static func block(type: String, lines: ArraySlice<String>) throws -> PEMBlock {
        var headers: [String: String] = [:]
        var lines = lines
        while let line = lines.first, let colon = line.firstIndex(of: ":") {
            guard headers.count < self.maximumHeaders else {
                throw KeyStoreError(.malformed, "a PEM block of more than \(self.maximumHeaders) headers")
            }
            headers[self.trim(String(line[..<colon]))] = self.trim(String(line[line.index(after: colon)...]))
            lines.removeFirst()
        }
        guard let content = Data(base64Encoded: lines.joined()), !content.isEmpty else {
            throw KeyStoreError(.malformed, "the PEM block \"\(type.prefix(64))\" does not hold base64")
        }
        return PEMBlock(type: type, headers: headers, content: Array(content))
    }

    /// The block as text, with lines of 64 characters as Go writes them.
    /// - Throws: ``KeyStoreError`` with code `invalidName` for a header that would not be read back as it is.
    package func serialized() throws -> String {
        var text = "-----BEGIN \(self.type)-----\n"
        let names = self.headers.keys.sorted { ($0 == "Proc-Type" ? "" : $0) < ($1 == "Proc-Type" ? "" : $1) }
        for name in names {
            let value = self.headers[name] ?? ""
            guard !name.contains(":"),
                (name + value).unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }),
                Self.trim(name) == name, Self.trim(value) == value
            else {
                throw KeyStoreError(
                    .invalidName,
                    "the \(name.debugDescription.prefix(64)) of a key has forbidden characters"
                )
            }
            text += "\(name): \(value)\n"
        }
        if !names.isEmpty { text += "\n" }
        let encoded = Array(Data(self.content).base64EncodedString().utf8)
        for start in stride(from: 0, to: encoded.count, by: 64) {
            text += String(decoding: encoded[start..<min(start + 64, encoded.count)], as: UTF8.self) + "\n"
        }
        return text + "-----END \(self.type)-----\n"
    }

    private static func label(of line: String, after prefix: String) -> String? {
        guard line.hasPrefix(prefix), line.hasSuffix("-----"), line.utf8.count >= prefix.utf8.count + 5 else {
            return nil
        }
        return String(line.dropFirst(prefix.count).dropLast(5))
    }

    private static func trim(_ text: String) -> String {
        String(decoding: Passphrase(trimming: text).bytes, as: UTF8.self)
    }
}
