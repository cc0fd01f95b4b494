// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Tells the first time from the others.
final class FirstTime: Sendable {
    private let isOver = Mutex(false)

    /// True once.
    func pass() -> Bool {
        self.isOver.withLock { isOver in
            defer { isOver = true }
            return !isOver
        }
    }
}
