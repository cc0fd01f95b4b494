// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The system's calendar time.
enum WallClock {
    /// Whole seconds since 1970.
    @Sendable static func seconds() -> Int64 {
        Int64(Date().timeIntervalSince1970)
    }
}
