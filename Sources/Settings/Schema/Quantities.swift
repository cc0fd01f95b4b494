// SPDX-License-Identifier: Apache-2.0

/// Numbers of bytes as people write them.
package enum ByteCount {
    private static let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)]

    /// Nil for what is no size.
    package static func parse(_ text: String) -> Int? {
        for (suffix, size) in self.units where text.hasSuffix(suffix) {
            return wholeNumber(text.dropLast(suffix.count), times: size)
        }
        return nil
    }

    static func text(_ count: Int) -> String {
        for (suffix, size) in self.units where suffix != "B" && count >= size && count % size == 0 {
            return "\(count / size)\(suffix)"
        }
        return "\(count)"
    }
}

/// Spans of time as people write them.
enum TimeSpan {
    private static let units = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]

    static func parse(_ text: String) -> Duration? {
        for (suffix, seconds) in self.units where text.hasSuffix(suffix) {
            return wholeNumber(text.dropLast(suffix.count), times: seconds).map { .seconds($0) }
        }
        return nil
    }

    static func text(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        for (suffix, size) in self.units where seconds != 0 && seconds % Int64(size) == 0 {
            return "\(seconds / Int64(size))\(suffix)"
        }
        return "\(seconds)s"
    }
}

private func wholeNumber(_ digits: Substring, times size: Int) -> Int? {
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits) else {
        return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: size)
    return overflow ? nil : product
}
