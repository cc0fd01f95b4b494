// SPDX-License-Identifier: Apache-2.0

import CProcess
import Foundation

/// What the system writes to a disk when a process crashes: all of its memory.
enum CoreDumps {
    /// Turns them off for this process: it holds private keys and passphrases.
    static func disable() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = 0
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }

    /// Keeps the memory from debuggers of the same user, too, and from programs that core files are piped to.
    static func hideMemory() {
        _ = hallmark_make_undumpable()
    }
}
