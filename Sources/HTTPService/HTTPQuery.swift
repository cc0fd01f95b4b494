// SPDX-License-Identifier: Apache-2.0

/// The parameters of a request target: `name=value` pairs, in order, decoded (`+` is a space).
package struct HTTPQuery: Sendable {
    /// More parameters than this are malformed.
    package static let maximumCount = 128

    /// One parameter.
    package struct Parameter: Sendable, Equatable {
        package let name: String
        /// Empty when there is no `=`.
        package let value: String
    }

    /// All parameters, in the order of the query.
    package let parameters: [Parameter]

    /// - Parameter query: What follows `?` in a request target; nil is like an empty one.
    /// - Returns: nil when an escape is malformed, the text is not UTF-8, or there are too many parameters.
    package init?(_ query: String?) {
        var parameters: [Parameter] = []
        for pair in (query ?? "").utf8.split(separator: UInt8(ascii: "&")) {
            guard parameters.count < Self.maximumCount else { return nil }
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard
                let name = HTTPPercentCoding.decode(pair[..<equals], plusIsSpace: true),
                let value = HTTPPercentCoding.decode(pair[equals...].dropFirst(), plusIsSpace: true)
            else { return nil }
            parameters.append(Parameter(name: name, value: value))
        }
        self.parameters = parameters
    }

    /// The value of the first parameter of that name.
    package func first(_ name: String) -> String? {
        self.parameters.first { $0.name == name }?.value
    }

    /// The values of all parameters of that name, in order.
    package func all(_ name: String) -> [String] {
        self.parameters.filter { $0.name == name }.map(\.value)
    }
}
