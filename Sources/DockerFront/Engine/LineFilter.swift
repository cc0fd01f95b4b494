// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets everything pass at once but a certain line.
final class LineFilter: OutputFilter {
    private struct State {
        /// What might be the beginning of that line.
        var held: [UInt8] = []
        /// Whether what comes is in the middle of another line.
        var isInOther = false
    }

    private let line: [UInt8]
    private let state = Mutex(State())

    /// - Parameter line: what is left out, without its end.
    init(leavingOut line: String) {
        self.line = Array(line.utf8)
    }

    func pass(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        self.state.withLock { state in
            var visible: [UInt8] = []
            for byte in bytes {
                if state.isInOther {
                    visible.append(byte)
                    state.isInOther = byte != UInt8(ascii: "\n")
                    continue
                }
                state.held.append(byte)
                if self.line.starts(with: state.held) { continue }
                let isWhole = state.held.count > self.line.count && state.held.starts(with: self.line)
                if isWhole, byte == UInt8(ascii: "\r") { continue }
                if isWhole, byte == UInt8(ascii: "\n") {
                    state.held = []
                    continue
                }
                visible += state.held
                state.held = []
                state.isInOther = byte != UInt8(ascii: "\n")
            }
            return visible
        }
    }

    func finish() -> [UInt8] {
        self.state.withLock { state in
            defer { state.held = [] }
            return state.held == self.line ? [] : state.held
        }
    }
}
