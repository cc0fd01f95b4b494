// SPDX-License-Identifier: Apache-2.0

/// Takes the members of a JSON object one by one; what is left over is unknown to us and must survive.
struct MemberReader {
    private let context: String
    private(set) var remaining: ByteOrderedMap<JSONValue>

    /// - Throws: ``TUFError`` with code `malformed` when the value is not an object.
    init(_ value: JSONValue?, _ context: String) throws {
        self.context = context
        guard let members = value?.object else { throw TUFError(.malformed, "\(context) must be a JSON object") }
        self.remaining = members
    }

    /// Takes a member out; nil when it is absent. A `null` is a value.
    mutating func take(_ name: String) -> JSONValue? {
        defer { self.remaining[name] = nil }
        return self.remaining[name]
    }

    /// Takes a member out; nil when it is absent or `null`. A `null` stays among the remaining members, so that it can be
    /// written again.
    mutating func optional(_ name: String) -> JSONValue? {
        if case .null? = self.remaining[name] { return nil }
        return self.take(name)
    }

    mutating func string(_ name: String) throws -> String {
        guard let text = self.take(name)?.string else { throw self.wrong(name, "a string") }
        return text
    }

    mutating func integer(_ name: String) throws -> Int64 {
        guard let value = self.take(name)?.integer else { throw self.wrong(name, "an integer") }
        return value
    }

    mutating func positive(_ name: String) throws -> Int64 {
        guard let value = self.take(name)?.integer, value >= 1 else {
            throw self.wrong(name, "an integer of 1 or more")
        }
        return value
    }

    /// The members of an object; none when it is absent or `null`.
    mutating func members(_ name: String) throws -> ByteOrderedMap<JSONValue> {
        guard let value = self.optional(name) else { return ByteOrderedMap() }
        guard let members = value.object else { throw self.wrong(name, "an object") }
        return members
    }

    /// The strings of a list; none when it is absent or `null`.
    mutating func strings(_ name: String) throws -> [String] {
        guard let value = self.optional(name) else { return [] }
        guard let elements = value.array else { throw self.wrong(name, "a list of strings") }
        return try elements.map {
            guard let text = $0.string else { throw self.wrong(name, "a list of strings") }
            return text
        }
    }

    /// The elements of a list; none when it is absent or `null`.
    mutating func elements(_ name: String) throws -> [JSONValue] {
        guard let value = self.optional(name) else { return [] }
        guard let elements = value.array else { throw self.wrong(name, "a list") }
        return elements
    }

    func wrong(_ name: String, _ wanted: String) -> TUFError {
        TUFError(.malformed, "\(self.context): \(name) must be \(wanted)")
    }
}
