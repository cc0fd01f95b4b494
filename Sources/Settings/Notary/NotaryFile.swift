// SPDX-License-Identifier: Apache-2.0

import Yams

/// A configuration file of notary-server or notary-signer, with the variables that override it.
struct NotaryFile {
    enum Program: String {
        case server
        case signer

        var name: String { "notary-\(self.rawValue)" }
        var variablePrefix: String { "NOTARY_\(self.rawValue.uppercased())_" }
    }

    /// Something that the file says, or a variable instead of it.
    struct Value {
        let words: [String]
        let origin: SettingOrigin

        var text: String { self.words.first ?? "" }

        /// As a list: Notary separates the words of a text by blanks.
        var list: [String] {
            self.words.count == 1 ? self.text.split(whereSeparator: \.isWhitespace).map(String.init) : self.words
        }
    }

    let program: Program
    let path: String
    /// What relative paths begin at.
    let directory: String
    private var values: [String: Value] = [:]
    /// Where each name stands, sections too.
    private(set) var lines: [String: Int] = [:]

    /// Nil for what is no file of Notary's servers.
    init?(_ document: YAMLDocument, directory: String) {
        guard case .mapping(let root) = document.root, let program = Self.program(root) else { return nil }
        self.program = program
        self.path = document.path
        self.directory = directory
        self.read(root, at: "", depth: 0)
    }

    /// Told by what no other file has.
    private static func program(_ root: Node.Mapping) -> Program? {
        func value(_ name: String, in mapping: Node.Mapping) -> Node? {
            mapping.first { $0.key.string?.lowercased() == name }?.value
        }
        if value("trust_service", in: root) != nil { return .server }
        guard case .mapping(let server) = value("server", in: root) else { return nil }
        if value("grpc_addr", in: server) != nil { return .signer }
        if value("http_addr", in: server) != nil || value("tls_cert_file", in: server) != nil { return .server }
        return nil
    }

    /// Notary does not tell letters' cases apart.
    private mutating func read(_ mapping: Node.Mapping, at prefix: String, depth: Int) {
        for (keyNode, node) in mapping {
            let key = prefix + (keyNode.string ?? "").lowercased()
            self.lines[key] = keyNode.line
            let origin = SettingOrigin.file(path: self.path, line: keyNode.line, notaryKey: key)
            switch node {
            case .mapping(let section):
                if depth < YAMLDocument.depthLimit { self.read(section, at: key + ".", depth: depth + 1) }
            case .sequence(let sequence):
                self.values[key] = Value(words: sequence.map { $0.scalar?.string ?? "" }, origin: origin)
            case .scalar(let scalar):
                if !node.isNothing { self.values[key] = Value(words: [scalar.string], origin: origin) }
            case .alias:
                break
            }
        }
    }

    /// What the program would go by: its variable, else the file. An empty text is none.
    func value(_ key: String, _ environment: [String: String]) -> Value? {
        let name = self.variable(key)
        if let text = environment[name], !text.isEmpty {
            return Value(words: [text], origin: .variable(name, notaryKey: key))
        }
        guard let value = self.values[key], value.words != [""] else { return nil }
        return value
    }

    func variable(_ key: String) -> String {
        self.program.variablePrefix + String(key.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// The place of a key, or of the file when the key is not in it.
    func place(_ key: String) -> SettingOrigin {
        .file(path: self.path, line: self.lines[key] ?? 1, notaryKey: key)
    }
}
