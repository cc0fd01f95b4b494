// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The addresses that begin with the same bits, as `NO_PROXY` has them: `10.0.0.0/8`, `fd00::/8`.
struct AddressRange {
    private let bytes: [UInt8]
    private let length: Int

    /// - Returns: nil for what is not an address, a slash and a number of bits.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let bytes = Self.bytes(of: parts[0]), let length = Int(parts[1]),
            (0...bytes.count * 8).contains(length)
        else { return nil }
        self.bytes = bytes
        self.length = length
    }

    /// True for an address among them; names are not looked up.
    func contains(_ host: some StringProtocol) -> Bool {
        guard let other = Self.bytes(of: host), other.count == self.bytes.count else { return false }
        return zip(self.bytes, other).enumerated().allSatisfy { index, pair in
            let bits = min(max(self.length - index * 8, 0), 8)
            return bits == 0 || pair.0 >> (8 - bits) == pair.1 >> (8 - bits)
        }
    }

    private static func bytes(of text: some StringProtocol) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, String(text), &bytes) == 1 { return Array(bytes.prefix(4)) }
        return inet_pton(AF_INET6, String(text), &bytes) == 1 ? bytes : nil
    }
}
