// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import TrustClient

/// Something the command itself refuses.
struct CommandError: Error, CustomStringConvertible {
    let code: ExitStatus
    let message: String

    init(_ code: ExitStatus, _ message: String) {
        self.code = code
        self.message = message
    }

    var description: String { self.message }
}
