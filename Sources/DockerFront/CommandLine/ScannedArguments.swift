// SPDX-License-Identifier: Apache-2.0

/// The arguments of a command, taken apart as docker does it.
package struct ScannedArguments: Sendable, Hashable {
    /// A flag that was given.
    package struct Flag: Sendable, Hashable {
        /// Its long name.
        package let name: String
        /// Its value, if it has one.
        package var value: String?
    }

    /// A flag that the table does not know, as it was typed.
    package struct UnknownFlag: Error, Hashable {
        package let text: String
    }

    /// The flags, in their order.
    package var flags: [Flag] = []
    /// All else, in its order.
    package var positionals: [String] = []
    /// Whether `--` ended the flags.
    package private(set) var hasTerminator = false

    /// - Parameters:
    ///   - arguments: what follows the command's name.
    ///   - table: the flags that it has.
    ///   - stopsAtFirst: whether all that follows the first argument is not the command's: `docker run IMAGE COMMAND…`.
    /// - Throws: ``UnknownFlag``; ``DockerFrontError`` with code `usage` for a flag that lacks its value.
    package init(_ arguments: some Sequence<String>, table: FlagTable, stopsAtFirst: Bool = false) throws {
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                self.hasTerminator = true
                self.positionals += rest
                return
            }
            guard argument.hasPrefix("-"), argument != "-" else {
                self.positionals.append(argument)
                guard stopsAtFirst else { continue }
                self.positionals += rest
                return
            }
            if argument.hasPrefix("--") {
                try self.readLong(argument, &rest, table)
            } else {
                try self.readShort(argument, &rest, table)
            }
        }
    }

    /// The same arguments, each flag in its long form.
    package var arguments: [String] {
        let flags = self.flags.map { flag in "--\(flag.name)" + (flag.value.map { "=\($0)" } ?? "") }
        return flags + (self.hasTerminator ? ["--"] : []) + self.positionals
    }

    /// Whether a flag without a value is set, as its last mention says.
    package func isSet(_ name: String) -> Bool? {
        guard let flag = self.flags.last(where: { $0.name == name }) else { return nil }
        return flag.value.map { BooleanText.isTrue($0) ?? true } ?? true
    }

    /// The value that counts: the last one.
    package func value(_ name: String) -> String? {
        self.flags.last { $0.name == name }?.value
    }

    /// All values of a flag that may be repeated.
    package func allValues(_ name: String) -> [String] {
        self.flags.filter { $0.name == name }.compactMap(\.value)
    }

    /// Takes a flag out.
    package mutating func remove(_ names: String...) {
        self.flags.removeAll { names.contains($0.name) }
    }

    private mutating func readLong(_ argument: String, _ rest: inout ArraySlice<String>, _ table: FlagTable) throws {
        let text = argument.dropFirst(2)
        let name = String(text.prefix { $0 != "=" })
        guard let takesValue = table.takesValue(name) else { throw UnknownFlag(text: "--\(name)") }
        if text.count > name.count {
            self.flags.append(Flag(name: name, value: String(text.dropFirst(name.count + 1))))
        } else if takesValue {
            guard let value = rest.popFirst() else { throw Self.noValue("--\(name)") }
            self.flags.append(Flag(name: name, value: value))
        } else {
            self.flags.append(Flag(name: name, value: nil))
        }
    }

    private mutating func readShort(_ argument: String, _ rest: inout ArraySlice<String>, _ table: FlagTable) throws {
        var letters = argument.dropFirst()
        while let letter = letters.popFirst() {
            guard let name = table.shorthands[letter], let takesValue = table.takesValue(name) else {
                throw UnknownFlag(text: "-\(letter)")
            }
            if letters.first == "=", letters.count > 1 {
                self.flags.append(Flag(name: name, value: String(letters.dropFirst())))
                return
            }
            guard takesValue else {
                self.flags.append(Flag(name: name, value: nil))
                continue
            }
            if letters.isEmpty {
                guard let value = rest.popFirst() else { throw Self.noValue("-\(letter)") }
                self.flags.append(Flag(name: name, value: value))
            } else {
                self.flags.append(Flag(name: name, value: String(letters)))
            }
            return
        }
    }

    private static func noValue(_ flag: String) -> DockerFrontError {
        DockerFrontError(.usage, "flag needs an argument: \(flag)")
    }
}
