// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation

/// For whom a command's output is.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text
    case json

    /// What the arguments ask for, also when they could not be parsed to the end: errors follow it too.
    static var requested: OutputFormat {
        let arguments = CommandLine.arguments
        if arguments.contains("--output=json") { return .json }
        guard let option = arguments.firstIndex(of: "--output"), option + 1 < arguments.count else { return .text }
        return arguments[option + 1] == "json" ? .json : .text
    }
}

/// JSON on standard output: sorted, indented, slashes as they are.
enum JSONOutput {
    static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        // These are structs of strings and numbers of our own: they always encode.
        guard let data = try? encoder.encode(value) else { return "{}" }
        return TerminalText.json(String(decoding: data, as: UTF8.self))
    }

    static func write(_ value: some Encodable) {
        print(Self.text(value))
    }
}
