// SPDX-License-Identifier: Apache-2.0

import Foundation
import Settings

extension ListenAddress {
    /// What to listen on. For all addresses it is that of IPv6, which takes connections over IPv4 too, where the system has it.
    var bindHost: String {
        guard self.host.isEmpty else { return self.host }
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return "0.0.0.0" }
        defer { _ = close(descriptor) }
        var onlyIPv6: CInt = 1
        var size = socklen_t(MemoryLayout<CInt>.size)
        let isKnown = getsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &onlyIPv6, &size) == 0
        return isKnown && onlyIPv6 == 0 ? "::" : "0.0.0.0"
    }
}
