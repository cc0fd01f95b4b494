// SPDX-License-Identifier: Apache-2.0

import ContentTrust

/// Columns under dashed headers, padded with four spaces, as `notary` prints them.
struct Table {
    private let headers: [String]
    private let rows: [[String]]

    init(_ headers: [String], _ rows: [[String]]) {
        self.headers = headers
        self.rows = rows.map { $0.map { TerminalText.line($0) } }
    }

    var text: String {
        let dashes = self.headers.map { String(repeating: "-", count: $0.count) }
        let lines = [self.headers, dashes] + self.rows
        let widths = self.headers.indices.map { column in
            lines.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return lines.map { line in
            zip(line, widths).enumerated().map { index, cell in
                let isLast = index == line.count - 1
                return isLast ? cell.0 : cell.0 + String(repeating: " ", count: cell.1 - cell.0.count + 4)
            }.joined()
        }.joined(separator: "\n")
    }
}

extension String {
    /// The text as one word of a shell.
    var shellQuoted: String {
        let isPlain = self.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "_"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        guard !isPlain || self.isEmpty else { return self }
        let parts = self.split(separator: "'", omittingEmptySubsequences: false)
        return "'" + parts.joined(separator: "'\\''") + "'"
    }
}
