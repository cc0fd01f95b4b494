// SPDX-License-Identifier: Apache-2.0

import ServiceLifecycle
import UnixSignals

/// Ends when the process is asked to end, or when the services around it do.
///
/// Signals are caught before anything is opened: one that comes while the server starts is obeyed once it has.
struct SignalService: Service {
    let signals: UnixSignalsSequence

    func run() async throws {
        for await _ in self.signals.cancelOnGracefulShutdown() { return }
    }
}
