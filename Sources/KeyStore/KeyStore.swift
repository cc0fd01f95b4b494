// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
package import TUF

/// The private keys of a person: on a hardware token, if one is used, and under a trust directory, as docker and notary keep them: `private/<canonical key id>.key`, one PEM
/// file each, readable by the owner alone.
///
/// Nothing is kept in memory: each call looks at the files, so other programs may change them at any time. A file is
/// replaced whole or not at all.
package struct KeyStore: Sendable {
    /// A key in the store, as its file names it. Nothing of this is protected until the key has been unlocked.
    package struct Entry: Sendable, Hashable {
        /// The id of the bare public key, from the file's name.
        package let id: KeyID
        /// What the key signs; empty when the file does not say.
        package let role: RoleName
        /// The collection that it belongs to, for roles that belong to one.
        package let gun: String?
        /// Where it lies.
        package let location: String
        /// Whether a passphrase is needed.
        package let isEncrypted: Bool
        /// Whether it is on a hardware token, from where nobody can take it.
        package let isOnToken: Bool

        init(id: KeyID, role: RoleName, gun: String?, location: String, isEncrypted: Bool, isOnToken: Bool = false) {
            self.id = id
            self.role = role
            self.gun = gun
            self.location = location
            self.isEncrypted = isEncrypted
            self.isOnToken = isOnToken
        }

        /// A key on a token.
        package init(_ key: HardwareToken.Key) {
            self.init(
                id: key.publicKey.id,
                role: key.role,
                gun: key.gun,
                location: key.location,
                isEncrypted: true,
                isOnToken: true
            )
        }
    }

    /// More bytes than a file of one key may have.
    private static let maximumFileSize = 64 << 10

    /// The directory of the files: `private` under the trust directory.
    package let directory: String
    /// The hardware token whose keys count like those of the files, and before them.
    package let token: HardwareToken?
    private let encryption: KeyEncryption

    /// Opens the store of a trust directory (`~/.docker/trust`, `~/.notary`), and brings keys of older layouts to where they
    /// belong now. The directories are made when the first key is.
    /// - Parameters:
    ///   - trustDirectory: the directory.
    ///   - token: a hardware token whose keys are used, too.
    ///   - encryption: how new files are encrypted.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    package init(
        trustDirectory: String,
        token: HardwareToken? = nil,
        encryption: KeyEncryption = .standard
    ) async throws {
        self.token = token
        self.encryption = encryption
        let directory = URL(fileURLWithPath: trustDirectory, isDirectory: true).appending(path: "private").path
        self.directory = directory
        try await BlockingWork.run { try KeyStoreMigration(directory: directory).run() }
    }

    // MARK: - Reading

    /// All keys: those on the token first, then those of files, in the order of their ids. Files that are no keys are left out.
    /// - Throws: ``KeyStoreError`` with code `storage` or `token`.
    package func list() async throws -> [Entry] {
        let directory = self.directory
        let onToken = try await self.token?.keys().map(Entry.init) ?? []
        return onToken
            + (try await BlockingWork.run {
                guard FileManager.default.fileExists(atPath: directory) else { return [] }
                let names: [String]
                do {
                    names = try FileManager.default.contentsOfDirectory(atPath: directory)
                } catch {
                    throw KeyStoreError(.storage, "cannot list \(directory): \(error.localizedDescription)")
                }
                return names.compactMap { name in
                    guard let id = Self.id(fileName: name) else { return nil }
                    return try? Self.entry(id, in: directory)?.entry
                }.sorted { $0.id < $1.id }
            })
    }

    /// One key's entry, on the token where it is in a file, too; nil when there is none.
    /// - Throws: ``KeyStoreError`` with code `malformed`, `storage` or `token`.
    package func entry(_ id: KeyID) async throws -> Entry? {
        if let key = try await self.token?.keys().first(where: { $0.publicKey.id == id }) { return Entry(key) }
        return try await self.stored(id)?.entry
    }

    /// The one key whose id begins so.
    /// - Throws: ``KeyStoreError`` with code `notFound` when there is none, or more than one.
    package func entry(matching prefix: String) async throws -> Entry {
        let found = try await self.list().filter { !prefix.isEmpty && $0.id.text.hasPrefix(prefix) }
        guard let entry = found.first else { throw self.notFound(KeyID(prefix)) }
        let ids = Set(found.map(\.id.text))
        guard ids.count == 1 else {
            throw KeyStoreError(
                .notFound,
                "several keys begin with \(prefix.prefix(64)): \(ids.sorted().joined(separator: ", "))"
            )
        }
        return entry
    }

    /// Unlocks a key.
    ///
    /// The source is asked again, with a higher attempt, until the passphrase is right or the source gives up.
    /// - Throws: ``KeyStoreError`` with code `notFound`, `malformed`, `unsupported`, `token`, or whatever the source throws.
    package func key(_ id: KeyID, passphrases: some PassphraseSource) async throws -> any UnlockedKey {
        if let token = self.token, try await self.isOnToken(id) {
            return try await token.key(id, passphrases: passphrases)
        }
        return try await self.privateKey(id, passphrases: passphrases)
    }

    /// Unlocks several keys. Their passphrases are asked for one after the other; what each costs to check is spent at once.
    /// - Throws: as ``key(_:passphrases:)``.
    package func keys(
        _ ids: [KeyID],
        passphrases: some PassphraseSource
    ) async throws -> [KeyID: any UnlockedKey] {
        var keys: [KeyID: any UnlockedKey] = [:]
        var tried: [(id: KeyID, file: PrivateKeyPEM, passphrase: Passphrase)] = []
        let onToken = Set(try await self.token?.keys().map(\.publicKey.id) ?? [])
        for (index, id) in ids.enumerated() where !ids[..<index].contains(id) {
            guard !onToken.contains(id), let stored = try await self.stored(id), stored.entry.isEncrypted else {
                keys[id] = try await self.key(id, passphrases: passphrases)
                continue
            }
            let request = PassphraseRequest(purpose: .unlock, keyID: id, role: stored.entry.role)
            guard let passphrase = try await passphrases.passphrase(for: request) else { throw request.unavailable }
            tried.append((id, stored.file, passphrase))
        }
        let opened = try await withThrowingTaskGroup(of: (KeyID, PrivateKey?).self) { group in
            for (id, file, passphrase) in tried {
                group.addTask {
                    do {
                        return (id, try await BlockingWork.run { try file.decode(passphrase: passphrase) })
                    } catch let error as KeyStoreError where error.code == .wrongPassphrase {
                        return (id, nil)
                    }
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (id, _, _) in tried {
            guard let stored = try await self.stored(id) else { throw self.notFound(id) }
            if let key = opened[id] {
                keys[id] = try Self.checked(key, stored.entry)
            } else {
                keys[id] = try await self.unlock(stored.file, entry: stored.entry, after: 1, passphrases: passphrases)
                    .key
            }
        }
        return keys
    }

    /// Takes a key out of its file.
    /// - Throws: ``KeyStoreError`` with code `notFound` when it is in no file, `malformed`, `unsupported`, or whatever the source throws.
    package func privateKey(_ id: KeyID, passphrases: some PassphraseSource) async throws -> PrivateKey {
        guard let stored = try await self.stored(id) else { throw self.notFound(id) }
        return try await self.unlock(stored.file, entry: stored.entry, passphrases: passphrases).key
    }

    // MARK: - Changing

    /// Stores a key, encrypted under a passphrase that the source gives for it. One that is there already is replaced.
    /// - Parameters:
    ///   - role: a base role, or a free name for a delegation's key.
    ///   - gun: the collection; not kept for root and delegation keys, which serve several.
    /// - Throws: ``KeyStoreError`` with code `invalidName` or `storage`, or whatever the source throws.
    @discardableResult
    package func add(
        _ key: PrivateKey,
        role: RoleName,
        gun: String? = nil,
        passphrases: some PassphraseSource
    ) async throws -> Entry {
        let id = key.publicKey.id
        let attributes = KeyAttributes(role: role, gun: KeyAttributes.belongsToCollection(role) ? gun : nil)
        // Before anybody is asked for anything.
        try attributes.check()
        let request = PassphraseRequest(purpose: .create, keyID: id, role: role, attempt: 0)
        guard let passphrase = try await passphrases.passphrase(for: request) else { throw request.unavailable }
        return try await self.store(key, attributes: attributes, passphrase: passphrase)
    }

    /// Stores a key as it stands in a file of somebody else's, encrypted as it is, or under a new passphrase when it is not.
    ///
    /// Its passphrase is needed where only the key tells its id.
    /// Only one of Notary's exports tells its id, and is taken as it is, without its passphrase.
    /// - Parameters:
    ///   - role: for a file that does not say.
    ///   - gun: for a file that does not say.
    /// - Throws: ``KeyStoreError`` with code `malformed`, `unsupported`, `invalidName` or `storage`, or whatever a source throws.
    @discardableResult
    package func importKey(
        _ file: PrivateKeyPEM,
        role: RoleName = RoleName(""),
        gun: String? = nil,
        passphrases: some PassphraseSource
    ) async throws -> Entry {
        let role = file.attributes.role.text.isEmpty ? role : file.attributes.role
        let gun = file.attributes.gun ?? gun
        let attributes = KeyAttributes(role: role, gun: KeyAttributes.belongsToCollection(role) ? gun : nil)
        try attributes.check()
        guard file.isEncrypted else {
            let key = try await BlockingWork.run { try file.decode(passphrase: nil) }
            return try await self.add(key, role: role, gun: gun, passphrases: passphrases)
        }
        let entry = Entry(
            id: KeyID(
                file.attributes.path.flatMap { Self.id(fileName: String($0.split(separator: "/").last ?? "")) }?.text
                    ?? ""
            ),
            role: role,
            gun: attributes.gun,
            location: "the file",
            isEncrypted: true
        )
        if !entry.id.text.isEmpty, file.isNotarys { return try await self.store(file, entry.id, attributes) }
        let (key, passphrase) = try await self.unlock(file, entry: entry, passphrases: passphrases)
        return try await self.store(key, attributes: attributes, passphrase: passphrase)
    }

    /// The file of a key, to be kept elsewhere: still encrypted, with a `path` header as Notary's exports have.
    /// - Throws: ``KeyStoreError`` with code `notFound`, `malformed` or `storage`; `unsupported` for a key on a token, or one that lies
    ///   here in clear.
    package func export(_ id: KeyID) async throws -> PrivateKeyPEM {
        let stored = try await self.storedInFile(id)
        guard stored.entry.isEncrypted else {
            throw KeyStoreError(
                .unsupported,
                "\(stored.entry.location) is not encrypted, and is not exported so: give it a passphrase first (hallmark key passwd)"
            )
        }
        var file = stored.file
        file.attributes.path = id.text
        return file
    }

    /// A key encrypted anew, under the passphrase that it has, in a form that OpenSSL reads.
    /// - Throws: as ``export(_:)``, or whatever the source throws.
    package func export(
        _ id: KeyID,
        as encryption: KeyEncryption,
        passphrases: some PassphraseSource
    ) async throws -> PrivateKeyPEM {
        _ = try await self.export(id)
        let stored = try await self.storedInFile(id)
        let (key, passphrase) = try await self.unlock(stored.file, entry: stored.entry, passphrases: passphrases)
        let attributes = stored.file.attributes
        return try await BlockingWork.run {
            try PrivateKeyPEM(key, attributes: attributes, passphrase: passphrase, encryption: encryption)
        }
    }

    /// Encrypts a key under another passphrase.
    /// - Parameters:
    ///   - old: gives the present one.
    ///   - new: gives the one from now on; not a source that remembers the present one.
    /// - Throws: ``KeyStoreError`` with code `notFound`, `malformed`, `unsupported` or `storage`, or whatever a source throws.
    package func changePassphrase(
        _ id: KeyID,
        old: some PassphraseSource,
        new: some PassphraseSource
    ) async throws {
        let stored = try await self.storedInFile(id)
        let key = try await self.unlock(stored.file, entry: stored.entry, passphrases: old).key
        let request = PassphraseRequest(purpose: .create, keyID: id, role: stored.entry.role, attempt: 0)
        guard let passphrase = try await new.passphrase(for: request) else { throw request.unavailable }
        try await self.store(key, attributes: stored.file.attributes, passphrase: passphrase)
    }

    /// Removes a key's file for good. What is on a token stays there: ``HardwareToken/remove(_:passphrases:)`` destroys it.
    /// - Throws: ``KeyStoreError`` with code `notFound` or `storage`.
    package func remove(_ id: KeyID) async throws {
        guard Self.isFileName(id) else { throw self.notFound(id) }
        let path = Self.path(id, in: self.directory)
        guard try await BlockingWork.run({ try KeyFile.remove(path) }) else { throw self.notFound(id) }
    }

    // MARK: - Files

    @discardableResult
    private func store(_ key: PrivateKey, attributes: KeyAttributes, passphrase: Passphrase) async throws -> Entry {
        let directory = self.directory
        let encryption = self.encryption
        return try await BlockingWork.run {
            let text = try PrivateKeyPEM(
                key,
                attributes: attributes,
                passphrase: passphrase,
                encryption: encryption
            ).serialized()
            try KeyFile.makeDirectory(directory)
            let path = Self.path(key.publicKey.id, in: directory)
            try KeyFile.replace(path, with: Array(text.utf8))
            return Entry(
                id: key.publicKey.id,
                role: attributes.role,
                gun: attributes.gun,
                location: path,
                isEncrypted: !passphrase.isEmpty
            )
        }
    }

    /// Stores a file as it is.
    private func store(_ file: PrivateKeyPEM, _ id: KeyID, _ attributes: KeyAttributes) async throws -> Entry {
        var file = file
        file.attributes = attributes
        let (directory, text) = (self.directory, try file.serialized())
        return try await BlockingWork.run {
            try KeyFile.makeDirectory(directory)
            let path = Self.path(id, in: directory)
            try KeyFile.replace(path, with: Array(text.utf8))
            return Entry(id: id, role: attributes.role, gun: attributes.gun, location: path, isEncrypted: true)
        }
    }

    private static func checked(_ key: PrivateKey, _ entry: Entry) throws -> PrivateKey {
        guard entry.id.text.isEmpty || key.publicKey.id == entry.id else {
            throw KeyStoreError(.malformed, "\(entry.location) holds the key \(key.publicKey.id), not \(entry.id)")
        }
        return key
    }

    /// - Parameter after: how many passphrases were wrong already.
    private func unlock(
        _ file: PrivateKeyPEM,
        entry: Entry,
        after attempts: Int = 0,
        passphrases: some PassphraseSource
    ) async throws -> (key: PrivateKey, passphrase: Passphrase) {
        guard file.isEncrypted else {
            let key = try await BlockingWork.run { try file.decode(passphrase: nil) }
            return (try Self.checked(key, entry), Passphrase(""))
        }
        var request = PassphraseRequest(purpose: .unlock, keyID: entry.id, role: entry.role, attempt: attempts)
        while request.attempt < PassphraseRequest.maximumAttempts {
            guard let passphrase = try await passphrases.passphrase(for: request) else { throw request.unavailable }
            do {
                let key = try await BlockingWork.run { try file.decode(passphrase: passphrase) }
                return (try Self.checked(key, entry), passphrase)
            } catch let error as KeyStoreError where error.code == .wrongPassphrase {
                request.attempt += 1
            }
        }
        throw request.attemptsExceeded
    }

    private func isOnToken(_ id: KeyID) async throws -> Bool {
        try await self.token?.keys().contains { $0.publicKey.id == id } ?? false
    }

    /// A key that is in a file: of one on a token nothing can be taken.
    private func storedInFile(_ id: KeyID) async throws -> (entry: Entry, file: PrivateKeyPEM) {
        if let stored = try await self.stored(id) { return stored }
        if try await self.isOnToken(id) {
            throw KeyStoreError(
                .unsupported,
                "the key \(id) is on a token, from where it cannot be taken, and has its PIN instead of a passphrase"
            )
        }
        throw self.notFound(id)
    }

    private func stored(_ id: KeyID) async throws -> (entry: Entry, file: PrivateKeyPEM)? {
        let directory = self.directory
        return try await BlockingWork.run { try Self.entry(id, in: directory) }
    }

    private static func entry(_ id: KeyID, in directory: String) throws -> (entry: Entry, file: PrivateKeyPEM)? {
        guard self.isFileName(id) else { return nil }
        let path = self.path(id, in: directory)
        guard let bytes = try KeyFile.read(path, limit: self.maximumFileSize) else { return nil }
        let file: PrivateKeyPEM
        do {
            file = try PrivateKeyPEM(String(decoding: bytes, as: UTF8.self))
        } catch let error as KeyStoreError {
            throw KeyStoreError(error.code, "\(path): \(error.message)")
        }
        let entry = Entry(
            id: id,
            role: file.attributes.role,
            gun: file.attributes.gun,
            location: path,
            isEncrypted: file.isEncrypted
        )
        return (entry, file)
    }

    private func notFound(_ id: KeyID) -> KeyStoreError {
        KeyStoreError(.notFound, "there is no private key \(id.text.prefix(64)) in \(self.directory)")
    }

    static func path(_ id: KeyID, in directory: String) -> String { "\(directory)/\(id.text).key" }

    /// The id that a file's name says; nil for names that no key of ours has, so that none can point elsewhere.
    static func id(fileName: String) -> KeyID? {
        let id = KeyID(fileName.hasSuffix(".key") ? String(fileName.dropLast(4)) : fileName)
        return self.isFileName(id) ? id : nil
    }

    static func isFileName(_ id: KeyID) -> Bool {
        id.text.utf8.count == 64
            && id.text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}
