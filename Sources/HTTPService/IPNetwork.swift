// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// An IP address in sixteen bytes: one of version 4 as IPv6 writes it (`::ffff:0:0/96`).
struct IPAddress: Sendable, Hashable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Nil for an address of another kind.
    init?(_ address: SocketAddress) {
        switch address {
        case .v4:
            let number = Self.integer(of: address, at: 4, as: UInt32.self)
            self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(UInt32(bigEndian: number)))
        case .v6:
            self.init(
                high: UInt64(bigEndian: Self.integer(of: address, at: 8, as: UInt64.self)),
                low: UInt64(bigEndian: Self.integer(of: address, at: 16, as: UInt64.self))
            )
        case .unixDomainSocket: return nil
        }
    }

    /// A part of the system's structure, which has the address at the same place everywhere.
    private static func integer<T: FixedWidthInteger>(of address: SocketAddress, at offset: Int, as type: T.Type) -> T {
        address.withSockAddr { pointer, size in
            guard size >= offset + MemoryLayout<T>.size else { return 0 }
            return UnsafeRawPointer(pointer).loadUnaligned(fromByteOffset: offset, as: T.self)
        }
    }

    /// - Parameter text: an address as proxies write it, perhaps in brackets and with a port.
    init?(_ text: some StringProtocol) {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        if text.first == "[" {
            text = text.dropFirst().prefix { $0 != "]" }
        } else if text.count(where: { $0 == ":" }) == 1 {
            text = text.prefix { $0 != ":" }
        }
        guard let address = try? SocketAddress(ipAddress: String(text), port: 0) else { return nil }
        self.init(address)
    }

    var isVersion4: Bool { self.high == 0 && self.low >> 32 == 0xFFFF }

    /// As it is written, without the last half where that is nothing.
    var description: String {
        if self.isVersion4 {
            return (0..<4).map { "\(self.low >> (24 - 8 * UInt64($0)) & 0xFF)" }.joined(separator: ".")
        }
        func groups(_ half: UInt64) -> String {
            (0..<4).map { String(half >> (48 - 16 * UInt64($0)) & 0xFFFF, radix: 16) }.joined(separator: ":")
        }
        return self.low == 0 ? groups(self.high) + "::" : groups(self.high) + ":" + groups(self.low)
    }

    /// Whom a limit counts: an address of version 4, of version 6 the network of one customer.
    var client: IPAddress { self.isVersion4 ? self : IPAddress(high: self.high, low: 0) }
}

/// A network, as `10.0.0.0/8` or `fd00::/8` writes it.
package struct IPNetwork: Sendable, Hashable {
    private let address: IPAddress
    /// Of 128 bits.
    private let length: Int

    /// Nil for what is no network; an address alone is a network of one.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let address = IPAddress(first) else { return nil }
        let width = address.isVersion4 ? 32 : 128
        guard parts.count == 2 else {
            self.address = address
            self.length = 128
            return
        }
        guard let length = Int(parts[1]), (0...width).contains(length) else { return nil }
        self.address = address
        self.length = length + 128 - width
    }

    func contains(_ other: IPAddress) -> Bool {
        let high = self.length >= 64 ? UInt64.max : ~(UInt64.max >> self.length)
        let low = self.length <= 64 ? 0 : ~(UInt64.max >> (self.length - 64))
        // Shifting by the whole width gives 0, so that all 64 bits count.
        return (self.address.high ^ other.high) & high == 0 && (self.address.low ^ other.low) & low == 0
    }
}
