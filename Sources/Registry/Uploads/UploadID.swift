// SPDX-License-Identifier: Apache-2.0

/// The name of an upload session, opaque to clients: 32 lower-case hexadecimal digits in the grouping of a UUID.
///
/// It becomes part of a file's name, so nothing else is accepted.
package struct UploadID: Sendable, Hashable, CustomStringConvertible {
    package let description: String

    /// Parses an id; nil for anything that this registry would not have made.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 36 else { return nil }
        for (position, byte) in text.utf8.enumerated() {
            switch (position, byte) {
            case (8, UInt8(ascii: "-")), (13, UInt8(ascii: "-")), (18, UInt8(ascii: "-")), (23, UInt8(ascii: "-")):
                continue
            case (8, _), (13, _), (18, _), (23, _):
                return nil
            case (_, UInt8(ascii: "0")...UInt8(ascii: "9")), (_, UInt8(ascii: "a")...UInt8(ascii: "f")):
                continue
            default:
                return nil
            }
        }
        self.description = String(text)
    }

    /// A new id from a source of randomness.
    package init(using generator: inout some RandomNumberGenerator) {
        // The system's generator is a system call each time: two draws give all 32 digits.
        let digits = [generator.next() as UInt64, generator.next()].map { bits in
            let digits = String(bits, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
        var text = ""
        for (position, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(position) { text.append("-") }
            text.append(digit)
        }
        self.description = text
    }
}
