// SPDX-License-Identifier: Apache-2.0

/// A map of bounded cost that keeps what was used recently.
///
/// Two generations: what is new or was used goes into the young one; when that has half the cost, it becomes the old one, and
/// the old one goes. So each operation takes constant time, and no value is dropped that was used since a quarter of the limit ago.
struct RecentValues<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        let value: Value
        let cost: Int
    }

    private let limit: Int
    private var young: [Key: Entry] = [:]
    private var old: [Key: Entry] = [:]
    private var youngCost = 0

    /// - Parameter limit: the most that all values together may cost.
    init(limit: Int) {
        self.limit = limit
    }

    /// Keeps a value, unless it alone costs a quarter of the limit.
    mutating func insert(_ value: Value, for key: Key, cost: Int) {
        self.remove(key)
        guard cost <= self.limit / 4 else { return }
        self.place(Entry(value: value, cost: cost), for: key)
    }

    mutating func value(for key: Key) -> Value? {
        if let entry = self.young[key] { return entry.value }
        guard let entry = self.old.removeValue(forKey: key) else { return nil }
        self.place(entry, for: key)
        return entry.value
    }

    mutating func remove(_ key: Key) {
        self.old[key] = nil
        if let entry = self.young.removeValue(forKey: key) { self.youngCost -= entry.cost }
    }

    mutating func removeAll(where condition: (Key) -> Bool) {
        for key in self.young.keys where condition(key) { self.remove(key) }
        for key in self.old.keys where condition(key) { self.remove(key) }
    }

    private mutating func place(_ entry: Entry, for key: Key) {
        if self.youngCost + entry.cost > self.limit / 2 {
            self.old = self.young
            self.young = [:]
            self.youngCost = 0
        }
        self.young[key] = entry
        self.youngCost += entry.cost
    }
}
