// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService

/// The limit of open files, which bounds how many connections a server can hold.
enum OpenFiles {
    /// What databases, event loops and the log need besides connections.
    private static let reserve = 128

    /// Raises the soft limit to the hard one: the default of 1024 is meant for programs that use `select`.
    /// - Returns: the limit in force; nil when the system does not tell.
    static func raiseLimit() -> Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        let soft = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        let isRaised = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        return Int(clamping: isRaised ? limit.rlim_max : soft)
    }

    /// How many connections each of some servers may have, so that a file can be opened for each of them: a server that has
    /// no descriptor left to accept with keeps a core busy with trying.
    static func connections(within limit: Int?, servers: Int, atMost most: Int) -> Int {
        guard let limit else { return most }
        return min(most, max(8, (limit - self.reserve) / (2 * servers)))
    }
}
