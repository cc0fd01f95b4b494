// SPDX-License-Identifier: Apache-2.0

/// Prefixes of paths, ordered so that finding the one that covers a path takes logarithmic time: a delegation may list
/// any number of them, and so may the one below it.
struct PathPrefixes {
    /// In order of bytes, none a prefix of another.
    private var prefixes: [String] = []

    init(_ paths: [String]) {
        for path in paths.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            if let last = self.prefixes.last, path.utf8.starts(with: last.utf8) { continue }
            self.prefixes.append(path)
        }
    }

    /// Whether one of the prefixes is a prefix of the path.
    func cover(_ path: String) -> Bool {
        // All that lies between a prefix and the path starts with that prefix, so it is the last one not after the path.
        var low = 0
        var high = self.prefixes.count
        while low < high {
            let middle = (low + high) / 2
            if path.utf8.lexicographicallyPrecedes(self.prefixes[middle].utf8) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low > 0 && path.utf8.starts(with: self.prefixes[low - 1].utf8)
    }
}
