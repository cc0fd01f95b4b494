// SPDX-License-Identifier: Apache-2.0

/// Names one request in the access log and in error messages: unique among the requests of one server's run.
package struct HTTPRequestID: Sendable, Hashable, CustomStringConvertible {
    /// Tells one run of a server from another.
    package let instance: UInt32
    /// Which connection of that run.
    package let connection: UInt64
    /// Which request of that connection, from 1.
    package let sequence: UInt32

    package init(instance: UInt32, connection: UInt64, sequence: UInt32) {
        self.instance = instance
        self.connection = connection
        self.sequence = sequence
    }

    package var description: String {
        "\(String(self.instance, radix: 16))-\(String(self.connection, radix: 16))-\(self.sequence)"
    }
}
