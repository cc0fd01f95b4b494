// SPDX-License-Identifier: Apache-2.0

/// A JSON value that canonical JSON can express: no fractions, no duplicate keys.
public enum JSONValue: Sendable, Hashable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// An integer between -(2^53) and 2^53, the range in which every peer agrees on the digits.
    case integer(Int64)
    /// Text.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// An object; its members are ordered by the bytes of their names.
    case object(ByteOrderedMap<JSONValue>)

    /// The largest magnitude of an integer: beyond it, peers that go through a double print other digits.
    public static let integerLimit: Int64 = 1 << 53
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// Text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A list.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object; the last of equal names wins.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var members = ByteOrderedMap<JSONValue>()
        for (name, value) in elements { members[name] = value }
        self = .object(members)
    }
}

extension JSONValue {
    /// Equality of what canonical JSON writes: strings are equal byte for byte, not by canonical equivalence.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.integer(let left), .integer(let right)): left == right
        case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }

    /// The members of an object, or nil for anything else.
    public var object: ByteOrderedMap<JSONValue>? {
        if case .object(let members) = self { members } else { nil }
    }

    /// The elements of a list, or nil for anything else.
    public var array: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// Text, or nil for anything else.
    public var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// An integer, or nil for anything else.
    public var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The member of an object; nil for anything else, or when it is not there.
    public subscript(name: String) -> JSONValue? { self.object?[name] }
}
