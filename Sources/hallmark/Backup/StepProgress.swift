// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// A line that tells what a long command is at, redrawn in place: on a terminal only, never in a pipe.
final class StepProgress: Sendable {
    private let isEnabled: Bool
    private let state = Mutex((drawn: ContinuousClock.Instant?.none, width: 0))

    init(isEnabled: Bool) {
        self.isEnabled = isEnabled && isatty(STDERR_FILENO) == 1
    }

    /// Shows a text, unless another was shown a moment ago.
    func show(_ text: String, always: Bool = false) {
        guard self.isEnabled else { return }
        let line: String? = self.state.withLock { state in
            let now = ContinuousClock.now
            if !always, let drawn = state.drawn, now - drawn < .milliseconds(100) { return nil }
            state.drawn = now
            state.width = max(state.width, text.count)
            return "\r" + text + String(repeating: " ", count: state.width - text.count)
        }
        if let line { Self.write(line) }
    }

    /// Takes the line away.
    func clear() {
        guard self.isEnabled else { return }
        let width = self.state.withLock { $0.width }
        Self.write("\r" + String(repeating: " ", count: width) + "\r")
    }

    private static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
