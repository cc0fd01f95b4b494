// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `HOST:PORT`, with an IPv6 address in brackets.
struct ListenAddress: ExpressibleByArgument, Sendable, CustomStringConvertible {
    let host: String
    let port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = Int(argument[argument.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = String(argument[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            return nil
        }
        self.host = host.isEmpty ? "0.0.0.0" : host
        self.port = port
    }

    var description: String { self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)" }
    var defaultValueDescription: String { self.description }

    /// True when only this machine can connect.
    var isLoopback: Bool {
        ["localhost", "::1"].contains(self.host)
            || self.host.hasPrefix("127.") && self.host.allSatisfy { $0.isNumber || $0 == "." }
    }

    /// True when it stands for every address of the machine.
    var isWildcard: Bool { self.host == "0.0.0.0" || self.host == "::" }
}
