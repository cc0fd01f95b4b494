// SPDX-License-Identifier: Apache-2.0

import Synchronization

@testable import KeyStore

/// A terminal at which somebody types given lines.
final class ScriptedTerminal: Terminal {
    private struct State {
        var lines: [String]
        var shown = ""
    }

    let isInteractive: Bool
    private let state: Mutex<State>

    init(_ lines: [String], isInteractive: Bool = true) {
        self.isInteractive = isInteractive
        self.state = Mutex(State(lines: lines))
    }

    /// All that was shown so far.
    var shown: String { self.state.withLock { $0.shown } }

    /// How many lines nobody asked for.
    var left: Int { self.state.withLock { $0.lines.count } }

    func write(_ text: String) {
        self.state.withLock { $0.shown += text }
    }

    func readSecret() -> String? {
        self.state.withLock { $0.lines.isEmpty ? nil : $0.lines.removeFirst() }
    }
}
