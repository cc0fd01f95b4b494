// SPDX-License-Identifier: Apache-2.0

import KeyStore

/// Passphrases that may be asked for on a terminal where a progress line stands: the line goes first.
struct ClearingPassphrases: PassphraseSource {
    private let source: any PassphraseSource
    private let display: ProgressDisplay

    init(_ source: any PassphraseSource, display: ProgressDisplay) {
        self.source = source
        self.display = display
    }

    func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        self.display.clear()
        return try await self.source.passphrase(for: request)
    }
}
