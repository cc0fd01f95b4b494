// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Yams

/// A configuration file, read and parsed but not understood.
struct YAMLDocument {
    /// The most bytes of a file.
    static let sizeLimit = 256 * 1024
    /// The deepest that brackets may nest.
    static let depthLimit = 32

    let path: String
    /// What it says; nil for a file without anything.
    let root: Node?

    /// - Throws: the problem on account of which it cannot be read or parsed.
    init(path: String) throws(DocumentProblem) {
        let bytes: [UInt8]
        do {
            guard let content = try DurableFile.read(path, limit: Self.sizeLimit) else {
                throw DocumentProblem(path: path, line: 1, message: "there is no such file")
            }
            bytes = content
        } catch let problem as DocumentProblem {
            throw problem
        } catch {
            throw DocumentProblem(path: path, line: 1, message: "cannot be read: \(error)")
        }
        try self.init(path: path, bytes: bytes)
    }

    init(path: String, bytes: [UInt8]) throws(DocumentProblem) {
        guard bytes.count <= Self.sizeLimit else {
            throw DocumentProblem(path: path, line: 1, message: "is larger than \(ByteCount.text(Self.sizeLimit))")
        }
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw DocumentProblem(path: path, line: 1, message: "is not UTF-8 text")
        }
        // JSON may be indented with tabs, which YAML does not allow; they stand nowhere else in it.
        if text.utf8.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") {
            text = String(text.map { $0 == "\t" ? " " : $0 })
        }
        try YAMLGuard.check(text, path: path)
        do {
            self.root = try Yams.compose(yaml: text, .default, .default, .utf8)
        } catch {
            throw DocumentProblem(path: path, error)
        }
        self.path = path
    }
}

/// Why a file is no document.
struct DocumentProblem: Error {
    let path: String
    let line: Int
    let message: String

    init(path: String, line: Int, message: String) {
        self.path = path
        self.line = line
        self.message = message
    }

    init(path: String, _ error: any Error) {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(path: path, line: mark.line, message: "is neither YAML nor JSON: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map { "`\($0)`" }.joined(separator: ", ")
            self.init(
                path: path,
                line: context.mark.line,
                message: "\(names) \(keys.count == 1 ? "stands" : "stand") here more than once: keep one of each"
            )
        default:
            self.init(path: path, line: 1, message: "is neither YAML nor JSON: \(error)")
        }
    }

    var problem: SettingProblem { SettingProblem(.error, .file(path: self.path, line: self.line), self.message) }
}

extension Node {
    var line: Int { self.mark?.line ?? 1 }

    /// Whether it says nothing: `key:` or `key: null`.
    var isNothing: Bool {
        guard case .scalar(let scalar) = self, scalar.style == .plain || scalar.style == .any else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// What it is, for a message.
    var found: String {
        switch self {
        case .scalar(let scalar): self.isNothing ? "nothing" : "`\(scalar.string.prefix(80))`"
        case .sequence: "a list"
        case .mapping: "a section"
        case .alias: "an alias"
        }
    }
}
