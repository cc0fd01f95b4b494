// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
package import TUF

/// The private keys under a trust directory, as docker and notary keep them: `private/<canonical key id>.key`, one PEM
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
    }

    /// More bytes than a file of one key may have.
    private static let maximumFileSize = 64 << 10

    /// The directory of the files: `private` under the trust directory.
    package let directory: String

    /// Opens the store of a trust directory (`~/.docker/trust`, `~/.notary`), and brings keys of older layouts to where they
    /// belong now. The directories are made when the first key is.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    package init(trustDirectory: String) async throws {
        let directory = URL(fileURLWithPath: trustDirectory, isDirectory: true).appending(path: "private").path
        self.directory = directory
        try await BlockingWork.run { try KeyStoreMigration(directory: directory).run() }
    }

    // MARK: - Reading

    /// All keys, in the order of their ids. Files that are no keys are left out.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    package func list() async throws -> [Entry] {
        let directory = self.directory
        return try await BlockingWork.run {
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
        }
    }

    /// One key's entry; nil when there is none.
    /// - Throws: ``KeyStoreError`` with code `malformed` or `storage`.
    package func entry(_ id: KeyID) async throws -> Entry? {
        try await self.stored(id)?.entry
    }

    /// Unlocks a key.
    ///
    /// The source is asked again, with a higher attempt, until the passphrase is right or the source gives up.
    /// - Throws: ``KeyStoreError`` with code `notFound`, `malformed`, `unsupported`, or whatever the source throws.
    package func key(_ id: KeyID, passphrases: some PassphraseSource) async throws -> any UnlockedKey {
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
    /// Its passphrase is needed, because only the key tells its id.
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
        let (key, passphrase) = try await self.unlock(file, entry: entry, passphrases: passphrases)
        return try await self.store(key, attributes: attributes, passphrase: passphrase)
    }

    /// The file of a key, to be kept elsewhere: still encrypted, with a `path` header as Notary's exports have.
    /// - Throws: ``KeyStoreError`` with code `notFound`, `malformed` or `storage`.
    package func export(_ id: KeyID) async throws -> PrivateKeyPEM {
        guard let stored = try await self.stored(id) else { throw self.notFound(id) }
        var file = stored.file
        file.attributes.path = id.text
        return file
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
        guard let stored = try await self.stored(id) else { throw self.notFound(id) }
        let key = try await self.unlock(stored.file, entry: stored.entry, passphrases: old).key
        let request = PassphraseRequest(purpose: .create, keyID: id, role: stored.entry.role, attempt: 0)
        guard let passphrase = try await new.passphrase(for: request) else { throw request.unavailable }
        try await self.store(key, attributes: stored.file.attributes, passphrase: passphrase)
    }

    /// Removes a key for good.
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
        return try await BlockingWork.run {
            let text = try PrivateKeyPEM(key, attributes: attributes, passphrase: passphrase).serialized()
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

    private func unlock(
        _ file: PrivateKeyPEM,
        entry: Entry,
        passphrases: some PassphraseSource
    ) async throws -> (key: PrivateKey, passphrase: Passphrase) {
        func checked(_ key: PrivateKey) throws -> PrivateKey {
            guard entry.id.text.isEmpty || key.publicKey.id == entry.id else {
                throw KeyStoreError(.malformed, "\(entry.location) holds the key \(key.publicKey.id), not \(entry.id)")
            }
            return key
        }
        guard file.isEncrypted else {
            return (try checked(try await BlockingWork.run { try file.decode(passphrase: nil) }), Passphrase(""))
        }
        var request = PassphraseRequest(purpose: .unlock, keyID: entry.id, role: entry.role, attempt: 0)
        while request.attempt < PassphraseRequest.maximumAttempts {
            guard let passphrase = try await passphrases.passphrase(for: request) else { throw request.unavailable }
            do {
                let key = try await BlockingWork.run { try file.decode(passphrase: passphrase) }
                return (try checked(key), passphrase)
            } catch let error as KeyStoreError where error.code == .wrongPassphrase {
                request.attempt += 1
            }
        }
        throw request.attemptsExceeded
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
