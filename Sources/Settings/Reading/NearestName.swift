// SPDX-License-Identifier: Apache-2.0

/// Finds what somebody may have meant.
enum NearestName {
    /// The name nearest to a mistyped one, if one is near enough to be it.
    static func to(_ name: String, among names: [String]) -> String? {
        // What is long is no typing error; and the comparison takes time with its length.
        guard name.utf8.count <= 64 else { return nil }
        let wanted = Self.comparable(name)
        let limit = wanted.count < 4 ? 1 : wanted.count < 8 ? 2 : 3
        return names.map { ($0, Self.distance(wanted, Self.comparable($0))) }
            .filter { $0.1 <= limit }
            .min { $0.1 < $1.1 }?.0
    }

    /// `clientCA`, `client_ca` and `client-ca` are one.
    private static func comparable(_ name: String) -> [UInt8] {
        name.lowercased().utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "_") }
    }

    /// How many letters are to be put in, left out, changed or exchanged with their neighbour.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
