// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The limit of open files, which bounds how many connections a server can hold.
enum OpenFiles {
    /// Raises the soft limit to the hard one: the default of 1024 is meant for programs that use `select`.
    static func raiseLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
