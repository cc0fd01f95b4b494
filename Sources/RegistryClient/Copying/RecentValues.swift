// SPDX-License-Identifier: Apache-2.0

/// What was noted lately, within a bound: of a registry with millions of blobs not all can be remembered.
struct RecentValues<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let limit: Int
    private var present: [Key: Value] = [:]
    private var former: [Key: Value] = [:]

    /// - Parameter limit: how many are remembered at least; never more than twice as many are.
    init(limit: Int) {
        self.limit = limit
    }

    subscript(_ key: Key) -> Value? {
        self.present[key] ?? self.former[key]
    }

    /// Notes a value.
    /// - Returns: false when there was one.
    @discardableResult
    mutating func note(_ key: Key, _ value: Value) -> Bool {
        let isNew = self[key] == nil
        if self.present.count >= self.limit {
            self.former = self.present
            self.present = [:]
        }
        self.present[key] = value
        return isNew
    }
}
