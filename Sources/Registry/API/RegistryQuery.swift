// SPDX-License-Identifier: Apache-2.0

import PercentEncoding

/// The items of a query, decoded. An item that cannot be decoded stays as it was sent, and is then refused by whoever
/// parses its value.
struct RegistryQuery: Sendable {
    /// More items than any request has; the rest is ignored.
    private static let maximumItems = 256

    private let items: [(name: String, value: String)]

    init(_ query: String?) {
        // `+` stays what it is: media types have it, and nothing in the protocol has spaces.
        self.items = PercentCoding.items(of: query ?? "", limit: Self.maximumItems).map { name, value in
            (PercentCoding.decode(name) ?? String(name), PercentCoding.decode(value) ?? String(value))
        }
    }

    /// The first value of a name.
    subscript(name: String) -> String? {
        self.items.first { $0.name == name }?.value
    }

    /// Every value of a name, in order.
    func all(_ name: String) -> [String] {
        self.items.filter { $0.name == name }.map(\.value)
    }
}
