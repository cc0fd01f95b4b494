// SPDX-License-Identifier: Apache-2.0

/// A map from text to values whose keys are compared and ordered by their UTF-8 bytes.
///
/// `Dictionary` compares strings by canonical equivalence, so that two names which differ in bytes, and name different
/// targets, would be one key. Order by bytes is also the order of canonical JSON.
public struct ByteOrderedMap<Value> {
    /// One key and its value.
    public typealias Element = (key: String, value: Value)

    private var elements: [Element]

    /// An empty map.
    public init() {
        self.elements = []
    }

    /// A map of unsorted pairs.
    /// - Returns: nil when a key occurs twice.
    public init?(uniqueKeys pairs: [Element]) {
        self.elements = pairs
        // What was read from a file mostly is in order.
        guard !Self.isStrictlyOrdered(pairs) else { return }
        self.elements.sort { Self.precedes($0.key, $1.key) }
        guard Self.isStrictlyOrdered(self.elements) else { return nil }
    }

    private static func isStrictlyOrdered(_ pairs: [Element]) -> Bool {
        // Where they lie: a pair that is taken out is a copy of its value.
        pairs.withUnsafeBufferPointer { pairs in
            pairs.indices.dropFirst().allSatisfy { self.precedes(pairs[$0 - 1].key, pairs[$0].key) }
        }
    }

    /// A map of pairs whose keys are in order, none of them twice.
    init(sorted pairs: [Element]) {
        self.elements = pairs
    }

    /// The value under exactly these bytes.
    public subscript(key: String) -> Value? {
        get {
            let position = self.position(of: key)
            return self.holds(key, at: position) ? self.elements[position].value : nil
        }
        set {
            let position = self.position(of: key)
            switch (self.holds(key, at: position), newValue) {
            case (true, .some(let value)): self.elements[position].value = value
            case (true, .none): self.elements.remove(at: position)
            case (false, .some(let value)): self.elements.insert((key, value), at: position)
            case (false, .none): break
            }
        }
    }

    /// The keys in order.
    public var keys: [String] { self.elements.map(\.key) }
    /// The values in the order of their keys.
    public var values: [Value] { self.elements.map(\.value) }

    /// A map with the same keys and other values.
    public func mapValues<Other>(_ transform: (Value) throws -> Other) rethrows -> ByteOrderedMap<Other> {
        var other = ByteOrderedMap<Other>()
        other.elements = try self.elements.map { ($0.key, try transform($0.value)) }
        return other
    }

    /// The pairs that satisfy the predicate.
    public func filter(_ isIncluded: (Element) throws -> Bool) rethrows -> Self {
        var other = Self()
        other.elements = try self.elements.filter(isIncluded)
        return other
    }

    private func position(of key: String) -> Int {
        var low = 0
        var high = self.elements.count
        while low < high {
            let middle = (low + high) / 2
            if Self.precedes(self.elements[middle].key, key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func holds(_ key: String, at position: Int) -> Bool {
        position < self.elements.count && Self.order(self.elements[position].key, key) == 0
    }

    private static func precedes(_ left: String, _ right: String) -> Bool { self.order(left, right) < 0 }

    /// Below zero when the first comes before the second, zero when they are equal.
    private static func order(_ left: String, _ right: String) -> Int {
        let order = left.utf8.withContiguousStorageIfAvailable { left in
            right.utf8.withContiguousStorageIfAvailable { right in
                for index in 0..<Swift.min(left.count, right.count) where left[index] != right[index] {
                    return left[index] < right[index] ? -1 : 1
                }
                return left.count - right.count
            }
        }
        if let order = order ?? nil { return order }
        return left.utf8.elementsEqual(right.utf8) ? 0 : left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
    }
}

extension ByteOrderedMap: RandomAccessCollection {
    /// The first position.
    public var startIndex: Int { 0 }
    /// The position after the last.
    public var endIndex: Int { self.elements.count }
    /// The pair at a position.
    public subscript(position: Int) -> Element { self.elements[position] }
}

extension ByteOrderedMap: Sendable where Value: Sendable {}

extension ByteOrderedMap: Equatable where Value: Equatable {
    /// Same keys, byte for byte, with equal values.
    public static func == (left: Self, right: Self) -> Bool {
        left.elementsEqual(right) { $0.key.utf8.elementsEqual($1.key.utf8) && $0.value == $1.value }
    }
}

extension ByteOrderedMap: Hashable where Value: Hashable {
    /// Hashes keys and values.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.count)
        for element in self {
            for byte in element.key.utf8 { hasher.combine(byte) }
            hasher.combine(element.value)
        }
    }
}

extension ByteOrderedMap: ExpressibleByDictionaryLiteral {
    /// A map of literal pairs; the last of equal keys wins.
    public init(dictionaryLiteral elements: (String, Value)...) {
        self.init()
        for (key, value) in elements { self[key] = value }
    }
}
