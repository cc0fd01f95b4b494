// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// How many bytes of a body came since the server began to wait for more.
struct HTTPRateWindow {
    private var started: NIODeadline?
    private var bytes = 0

    mutating func add(_ count: Int) {
        self.bytes += count
    }

    /// The server does not read: what does not come then is not the peer's fault.
    mutating func pause() {
        self.started = nil
        self.bytes = 0
    }

    /// - Returns: nil while the window has not passed; then the bytes, once.
    mutating func bytesInWindow(_ window: TimeAmount, now: NIODeadline) -> Int? {
        guard let started = self.started else {
            self.started = now
            self.bytes = 0
            return nil
        }
        guard now - started >= window else { return nil }
        let bytes = self.bytes
        self.started = now
        self.bytes = 0
        return bytes
    }
}
