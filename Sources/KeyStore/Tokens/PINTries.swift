// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How many wrong PINs this process has given to each token. A token locks after a few, whoever gave them.
final class PINTries: Sendable {
    /// Those of the process.
    static let process = PINTries()
    /// Wrong PINs after which a token is left alone, where it does not say that it has counted one.
    private static let maximum = 2

    private let wrong = Mutex<[String: Int]>([:])

    /// Gives a PIN to a token, while nobody else does.
    /// - Parameter body: logs in; what it returns is returned.
    /// - Returns: nil when the PIN was wrong.
    /// - Throws: as ``check(_:in:)``; whatever else `body` throws.
    func attempt<Result: Sendable>(
        _ slot: CryptokiModule.Slot,
        in module: CryptokiModule,
        _ body: () throws -> Result
    ) throws -> Result? {
        try self.wrong.withLock { wrong in
            let name = Self.name(slot, module)
            let count = wrong[name, default: 0]
            try Self.check(module.refreshed(slot), after: count)
            do {
                let result = try body()
                wrong[name] = nil
                return result
            } catch let failure as CryptokiFailure where failure.isWrongPIN {
                wrong[name] = count + 1
                return nil
            }
        }
    }

    /// Whether a token may be given a PIN: before somebody is asked for one.
    /// - Throws: ``KeyStoreError`` with code `token` when the next wrong one would lock it, `attemptsExceeded` after wrong ones.
    func check(_ slot: CryptokiModule.Slot, in module: CryptokiModule) throws {
        try self.wrong.withLock { wrong in
            try Self.check(module.refreshed(slot), after: wrong[Self.name(slot, module), default: 0])
        }
    }

    /// The error after a wrong PIN.
    static func wrongPIN(_ slot: CryptokiModule.Slot) -> KeyStoreError {
        KeyStoreError(
            .attemptsExceeded,
            "the PIN of \(slot.uri) is wrong; it is not tried again now, so that the token does not lock"
        )
    }

    private static func name(_ slot: CryptokiModule.Slot, _ module: CryptokiModule) -> String {
        "\(module.path)\n\(slot.uri)"
    }

    private static func check(_ slot: CryptokiModule.Slot, after count: Int) throws {
        guard !slot.has(Cryptoki.TokenFlag.pinLocked) else {
            throw KeyStoreError(.token, "the PIN of \(slot.uri) is locked; unlock it with the vendor's tool")
        }
        guard !slot.has(Cryptoki.TokenFlag.pinFinalTry) else {
            throw KeyStoreError(
                .token,
                "\(slot.uri) takes one more PIN only before it locks; log in with the vendor's tool, which resets that, or set a new PIN"
            )
        }
        guard count == 0 || (count < Self.maximum && !slot.has(Cryptoki.TokenFlag.pinCountLow)) else {
            throw self.wrongPIN(slot)
        }
    }
}
