// SPDX-License-Identifier: Apache-2.0

/// The items of a query, decoded. An item that cannot be decoded stays as it was sent, and is then refused by whoever
/// parses its value.
struct RegistryQuery: Sendable {
    /// More items than any request has; the rest is ignored.
    private static let maximumItems = 256

    private let items: [(name: String, value: String)]

    init(_ query: String?) {
        self.items = (query ?? "").split(separator: "&", maxSplits: Self.maximumItems).prefix(Self.maximumItems).map {
            let parts = $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let texts = parts.map { PercentEncoding.decode($0) ?? String($0) }
            return (name: texts.first ?? "", value: texts.count > 1 ? texts[1] : "")
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
