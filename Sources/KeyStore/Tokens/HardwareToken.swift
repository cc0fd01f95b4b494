// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
package import TUF

/// The keys on a hardware token, spoken to through its vendor's PKCS#11 module.
///
/// Who holds the token is asked for its PIN once in a process. A wrong PIN is never tried so often that the token locks.
package final class HardwareToken: Sendable {
    /// A key on a token, as everybody can see it. Its label is not protected.
    package struct Key: Sendable, Hashable {
        /// The bare public key.
        package let publicKey: PublicKey
        /// What it signs; empty for a key that others have put there.
        package let role: RoleName
        /// The collection that it belongs to.
        package let gun: String?
        /// The token, as a `pkcs11:` URI.
        package let location: String
        let slot: CryptokiModule.Slot
        let identifier: [UInt8]
    }

    /// Which token.
    package let settings: TokenSettings
    private let tries: PINTries

    /// - Parameter settings: which token. Nothing is loaded before it is needed.
    package convenience init(_ settings: TokenSettings) {
        self.init(settings, tries: .process)
    }

    init(_ settings: TokenSettings, tries: PINTries) {
        self.settings = settings
        self.tries = tries
    }

    // MARK: - Reading

    /// The keys that can sign here, in the order of their ids; none when the token is not there. Needs no PIN.
    /// - Throws: ``KeyStoreError`` with code `token` when the module cannot be used, or several tokens are there and none was named.
    package func keys() async throws -> [Key] { try await self.keys(leftovers: false) }

    /// - Parameter leftovers: whether public halves whose private ones are known to be missing count.
    private func keys(leftovers: Bool) async throws -> [Key] {
        try await self.work { module in
            guard let slot = try self.slot(in: module) else { return [] }
            return try module.withSession(slot) { session in
                // Before somebody has logged in, private halves do not show.
                let signing = try !leftovers && session.isLoggedIn ? session.privateIdentifiers() : nil
                let wanted: [CryptokiSession.Attribute] = [
                    .init(Cryptoki.Attribute.objectClass, Cryptoki.ObjectClass.publicKey),
                    .init(Cryptoki.Attribute.token, true),
                ]
                return try session.objects(wanted).compactMap { object in
                    guard let kind = try session.kind(of: object),
                        let identifier = try session.value(of: Cryptoki.Attribute.id, in: object), !identifier.isEmpty,
                        signing?.contains(identifier) ?? true
                    else { return nil }
                    let label = TokenKeyLabel(
                        String(
                            decoding: try session.value(of: Cryptoki.Attribute.label, in: object) ?? [],
                            as: UTF8.self
                        )
                    )
                    return Key(
                        publicKey: kind.publicKey,
                        role: label.role,
                        gun: label.gun,
                        location: slot.uri,
                        slot: slot,
                        identifier: identifier
                    )
                }.sorted { $0.publicKey.id < $1.publicKey.id }
            }
        }
    }

    /// A key that is ready to sign.
    /// - Parameter passphrases: asked for the PIN, unless somebody has given it in this process.
    /// - Throws: ``KeyStoreError`` with code `notFound`, `token`, or whatever the source throws.
    package func key(_ id: KeyID, passphrases: some PassphraseSource) async throws -> any UnlockedKey {
        let key = try await self.required(id)
        let pin = try await self.logIn(key.slot, keyID: id, role: key.role, passphrases)
        return try await self.unlocked(key, pin: pin, passphrases)
    }

    /// A key whose user is logged in.
    /// - Parameter pin: the PIN, if it is known.
    private func unlocked(
        _ key: Key,
        pin: Passphrase?,
        _ passphrases: some PassphraseSource
    ) async throws -> TokenKey {
        let id = key.publicKey.id
        let (kind, needsApproval) = try await self.work { module in
            try module.withSession(key.slot) { session in
                let object = try session.privateKey(key.identifier, of: id, on: key.slot)
                let approval = try session.value(of: Cryptoki.Attribute.alwaysAuthenticate, in: object)
                return (try session.kind(withID: key.identifier, publicKey: key.publicKey), approval == [1])
            }
        }
        guard let kind else { throw self.notFound(id) }
        var approval: TokenKey.Approval?
        if needsApproval, key.slot.has(Cryptoki.TokenFlag.protectedAuthenticationPath) {
            approval = TokenKey.Approval(pin: nil)
        } else if needsApproval {
            let request = PassphraseRequest(purpose: .pin(token: key.slot.label), keyID: id, role: key.role)
            var known = pin
            if known == nil { known = try await self.pin(for: request, passphrases) }
            guard let known else { throw request.unavailable }
            approval = TokenKey.Approval(pin: known)
        }
        return TokenKey(kind: kind, token: self, slot: key.slot, identifier: key.identifier, approval: approval)
    }

    func sign(_ data: [UInt8], _ method: TokenSigningMethod, with key: TokenKey) async throws -> [UInt8] {
        let tries = self.tries
        let id = key.publicKey.id
        return try await self.work { module in
            func signature() throws -> [UInt8] {
                try module.withSession(key.slot) { session in
                    guard try !key.slot.has(Cryptoki.TokenFlag.loginRequired) || session.isLoggedIn else {
                        throw KeyStoreError(
                            .token,
                            "nobody is logged in to \(key.slot.uri) any more; was it taken out? Start again"
                        )
                    }
                    let object = try session.privateKey(key.identifier, of: id, on: key.slot)
                    return try session.sign(data, method, key: object, approval: key.approval)
                }
            }
            guard key.approval != nil else { return try signature() }
            guard let signature = try tries.attempt(key.slot, in: module, signature) else {
                throw PINTries.wrongPIN(key.slot)
            }
            return signature
        }
    }

    // MARK: - Changing

    /// Makes a key on the token, from where it cannot be taken.
    /// - Throws: ``KeyStoreError`` with code `unsupported` for a kind that tokens have not, `invalidName`, `token`, or whatever the
    ///   source throws.
    package func generate(
        _ algorithm: PrivateKey.Algorithm,
        role: RoleName,
        gun: String? = nil,
        passphrases: some PassphraseSource
    ) async throws -> any UnlockedKey {
        let label = try TokenKeyLabel(role: role, gun: gun)
        let identifier = randomBytes(20)
        let slot = try await self.requiredSlot()
        let pin = try await self.logIn(slot, keyID: KeyID(""), role: role, passphrases)
        let kind = try await self.work { module in
            try module.withSession(slot, changes: true) { session in
                try session.generate(algorithm, label: label, identifier: identifier)
            }
        }
        let key = Key(
            publicKey: kind.publicKey,
            role: label.role,
            gun: label.gun,
            location: slot.uri,
            slot: slot,
            identifier: identifier
        )
        // The token may have its own mind about what its keys ask for.
        return try await self.unlocked(key, pin: pin, passphrases)
    }

    /// Puts a key on the token, and proves that it signs there. Whatever else holds it still does.
    /// - Throws: as ``generate(_:role:gun:passphrases:)``.
    package func add(
        _ key: PrivateKey,
        role: RoleName,
        gun: String? = nil,
        passphrases: some PassphraseSource
    ) async throws -> Key {
        let label = try TokenKeyLabel(role: role, gun: gun)
        let slot = try await self.requiredSlot()
        let id = key.publicKey.id
        if let known = try await self.keys(leftovers: true).first(where: { $0.publicKey.id == id }) {
            throw KeyStoreError(.token, "the key \(id) is on \(known.location) already; remove it there first")
        }
        let pin = try await self.logIn(slot, keyID: id, role: role, passphrases)
        let identifier = randomBytes(20)
        try await self.work { module in
            try module.withSession(slot, changes: true) { session in
                try session.store(key.material, label: label, identifier: identifier)
            }
        }
        let stored = Key(
            publicKey: key.publicKey,
            role: label.role,
            gun: label.gun,
            location: slot.uri,
            slot: slot,
            identifier: identifier
        )
        do {
            _ = try await self.unlocked(stored, pin: pin, passphrases).sign(randomBytes(32))
        } catch {
            try? await self.destroy(stored)
            throw error
        }
        return stored
    }

    /// Destroys a key on the token.
    /// - Throws: ``KeyStoreError`` with code `notFound`, `token` (also when other keys cannot be told from it), or whatever the source
    ///   throws.
    package func remove(_ id: KeyID, passphrases: some PassphraseSource) async throws {
        guard let key = try await self.keys(leftovers: true).first(where: { $0.publicKey.id == id }) else {
            throw self.notFound(id)
        }
        _ = try await self.logIn(key.slot, keyID: id, role: key.role, passphrases)
        try await self.destroy(key)
    }

    private func destroy(_ key: Key) async throws {
        try await self.work { module in
            try module.withSession(key.slot, changes: true) { session in
                try session.destroy(key.publicKey, withID: key.identifier, on: key.slot)
            }
        }
    }

    // MARK: - The PIN

    /// Logs in, unless somebody is in this process.
    /// - Returns: the PIN that was given.
    private func logIn(
        _ slot: CryptokiModule.Slot,
        keyID: KeyID,
        role: RoleName,
        _ passphrases: some PassphraseSource
    ) async throws -> Passphrase? {
        guard slot.has(Cryptoki.TokenFlag.loginRequired) else { return nil }
        if try await self.work({ module in try module.withSession(slot) { try $0.isLoggedIn } }) { return nil }
        if slot.has(Cryptoki.TokenFlag.protectedAuthenticationPath) {
            guard try await self.accepts(nil, slot) else { throw PINTries.wrongPIN(slot) }
            return nil
        }
        var request = PassphraseRequest(purpose: .pin(token: slot.label), keyID: keyID, role: role)
        // As often as the tries that are left allow.
        while true {
            let tries = self.tries
            try await self.work { try tries.check(slot, in: $0) }
            guard let pin = try await self.pin(for: request, passphrases) else { throw request.unavailable }
            if try await self.accepts(pin, slot) { return pin }
            request.attempt += 1
        }
    }

    private func pin(
        for request: PassphraseRequest,
        _ passphrases: some PassphraseSource
    ) async throws -> Passphrase? {
        guard let pin = self.settings.pin else { return try await passphrases.passphrase(for: request) }
        guard request.attempt == 0 else { throw request.attemptsExceeded }
        return pin
    }

    private func accepts(_ pin: Passphrase?, _ slot: CryptokiModule.Slot) async throws -> Bool {
        let tries = self.tries
        return try await self.work { module in
            try tries.attempt(slot, in: module) {
                try module.withSession(slot) { try $0.logIn(pin) }
                return true
            } ?? false
        }
    }

    // MARK: - Places

    private func work<Result: Sendable>(
        _ body: @escaping @Sendable (CryptokiModule) throws -> Result
    ) async throws -> Result {
        let path = self.settings.modulePath
        // A token may wait for a touch: not on threads that compute.
        return try await BlockingWork.wait {
            do {
                return try body(CryptokiModule.load(path))
            } catch let failure as CryptokiFailure {
                throw failure.error(on: path)
            }
        }
    }

    private func slot(in module: CryptokiModule) throws -> CryptokiModule.Slot? {
        let slots = try module.slots().filter { self.settings.selects($0) }
        guard slots.count <= 1 else {
            throw KeyStoreError(
                .token,
                "several tokens are there: \(slots.map(\.uri).joined(separator: ", ")); choose one with "
                    + TokenSettings.tokenVariable
            )
        }
        return slots.first
    }

    private func requiredSlot() async throws -> CryptokiModule.Slot {
        guard let slot = try await self.work({ try self.slot(in: $0) }) else {
            throw KeyStoreError(
                .token,
                self.settings.namesToken
                    ? "the token that \(TokenSettings.tokenVariable) names is not there: plug it in"
                    : "no token is there that is made ready for use: plug it in, or initialize it with the vendor's tool"
            )
        }
        return slot
    }

    private func required(_ id: KeyID) async throws -> Key {
        guard let key = try await self.keys().first(where: { $0.publicKey.id == id }) else { throw self.notFound(id) }
        return key
    }

    private func notFound(_ id: KeyID) -> KeyStoreError {
        KeyStoreError(.notFound, "there is no private key \(id.text.prefix(64)) on the token")
    }
}

extension CryptokiModule.Slot {
    /// The token as RFC 7512 writes it.
    var uri: String {
        func encoded(_ text: String) -> String {
            text.utf8.map { byte in
                let isPlain =
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || Array("-_.".utf8).contains(byte)
                return isPlain ? String(UnicodeScalar(byte)) : "%" + Hexadecimal.encode([byte]).uppercased()
            }.joined()
        }
        return "pkcs11:token=\(encoded(self.label));serial=\(encoded(self.serial))"
    }
}
