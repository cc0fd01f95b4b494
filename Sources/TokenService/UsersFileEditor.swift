// SPDX-License-Identifier: Apache-2.0

import DurableFiles

/// Changes the file of users, one process at a time. Comments, order and what is wrong with other lines stay as they are.
/// Everything here blocks.
package struct UsersFileEditor: Sendable {
    /// Where the file is, after links.
    package let path: String

    /// - Parameter path: need not be there yet.
    package init(path: String) {
        self.path = DurableFile.resolve(path)
    }

    /// The file as it is.
    /// - Throws: ``UsersFileError`` with code `file`.
    package func read() throws -> UsersFile {
        guard let text = try Self.text(of: self.path) else { throw Self.missing(self.path) }
        return UsersFile(parsing: text)
    }

    /// Adds a user; makes the file when there is none.
    /// - Throws: ``UsersFileError``, `FileSystemError`.
    package func add(_ name: String, _ hash: BcryptHash) throws {
        try UsersFile.check(name: name)
        try self.edit(isMade: true) { lines in
            guard Self.index(of: name, in: lines) == nil else {
                throw UsersFileError(
                    .exists,
                    "\(self.path) has a user \(name) already: change the password with `passwd`"
                )
            }
            lines.append("\(name):\(hash.text)")
        }
    }

    /// Gives a user another password. What was given out under the old one ends: refresh tokens at once, others
    /// within their lifetime.
    /// - Throws: ``UsersFileError``, `FileSystemError`.
    package func replace(_ name: String, _ hash: BcryptHash) throws {
        try self.edit { lines in
            guard let index = Self.index(of: name, in: lines) else { throw self.unknown(name) }
            lines[index] = "\(name):\(hash.text)"
        }
    }

    /// Removes a user.
    /// - Throws: ``UsersFileError``, `FileSystemError`.
    package func remove(_ name: String) throws {
        try self.edit { lines in
            guard Self.index(of: name, in: lines) != nil else { throw self.unknown(name) }
            while let index = Self.index(of: name, in: lines) { lines.remove(at: index) }
        }
    }

    private func unknown(_ name: String) -> UsersFileError {
        UsersFileError(.missing, "\(self.path) has no user \(name)")
    }

    private func edit(isMade: Bool = false, _ change: (inout [String]) throws -> Void) throws {
        try DurableFile.withLockedDirectory(DurableFile.directory(of: self.path), isRequired: false) {
            let text = try Self.text(of: self.path)
            guard text != nil || isMade else { throw Self.missing(self.path) }
            var lines = UsersFile.lines(of: text ?? "").map(String.init)
            if lines.last == "" { lines.removeLast() }
            try change(&lines)
            let bytes = Array((lines.joined(separator: "\n") + (lines.isEmpty ? "" : "\n")).utf8)
            guard bytes.count <= UsersFile.maximumSize else {
                throw UsersFileError(.file, "\(self.path) would have more than \(UsersFile.maximumSize) bytes")
            }
            try DurableFile.update(self.path, with: bytes)
        }
    }

    private static func index(of name: String, in lines: [String]) -> Int? {
        lines.firstIndex { line in
            guard line.utf8.first != UInt8(ascii: "#"), let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
                return false
            }
            return line[..<colon] == name
        }
    }

    static func text(of path: String) throws -> String? {
        do {
            guard let bytes = try DurableFile.read(path, limit: UsersFile.maximumSize) else { return nil }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw UsersFileError(.file, "\(path) is not text in UTF-8")
            }
            return text
        } catch let error as FileSystemError {
            throw UsersFileError(.file, error.description)
        }
    }

    static func missing(_ path: String) -> UsersFileError {
        UsersFileError(.file, "there is no \(path): make it with `hallmark user add --users \(path) NAME`")
    }
}
