// SPDX-License-Identifier: Apache-2.0

/// How an upload of unknown length is cut into parts: S3 takes 10,000 of them, and each is in memory while it is gathered. So
/// they begin small and grow: up to 8 GiB an upload takes 8 MiB of memory.
package enum S3PartPlan {
    /// How many parts there are of each size, in bytes, one after the other.
    private static let steps: [(count: Int, size: Int)] = [
        (1000, 8 << 20), (1000, 16 << 20), (2000, 32 << 20), (5999, 64 << 20),
    ]

    /// The most bytes that can be stored, in 9,999 parts: about 460 GiB. One more is left for what is shorter.
    package static let maximumSize = Self.steps.reduce(Int64(0)) { $0 + Int64($1.count) * Int64($1.size) }

    /// How many bytes a part has that is not the last.
    /// - Parameter number: From 1.
    /// - Returns: Nil when there can be no such part.
    static func size(ofPart number: Int) -> Int? {
        var before = 0
        for step in Self.steps {
            if number > before, number <= before + step.count { return step.size }
            before += step.count
        }
        return nil
    }

    /// Where a part begins.
    static func offset(ofPart number: Int) -> Int64 {
        var left = max(number - 1, 0)
        var offset: Int64 = 0
        for step in Self.steps {
            offset += Int64(min(left, step.count)) * Int64(step.size)
            left -= min(left, step.count)
        }
        return offset
    }
}
