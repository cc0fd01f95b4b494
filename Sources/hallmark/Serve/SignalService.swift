// SPDX-License-Identifier: Apache-2.0

import ServiceLifecycle
import UnixSignals

/// The signals that a server obeys.
struct ServingSignals: Sendable {
    /// Those that were trapped when the process began.
    @TaskLocal static var trapped: ServingSignals?

    /// It is to end.
    let ending: UnixSignalsSequence
    /// It is to log more, or less.
    let levels: UnixSignalsSequence

    /// From here on signals do what the server does with them.
    static func trap() async -> ServingSignals {
        ServingSignals(
            ending: await UnixSignalsSequence(trapping: .sigterm, .sigint),
            levels: await UnixSignalsSequence(trapping: .sigusr1, .sigusr2)
        )
    }
}

/// Ends when the process is asked to end, or when the services around it do.
///
/// Signals are caught before anything is opened: one that comes while the server starts is obeyed once it has.
struct SignalService: Service {
    let signals: UnixSignalsSequence

    func run() async throws {
        for await _ in self.signals.cancelOnGracefulShutdown() { return }
    }
}
