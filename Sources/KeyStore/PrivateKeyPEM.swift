// SPDX-License-Identifier: Apache-2.0

package import TUF

/// What a key file says about its key in its headers. They are not protected: whoever can write the file can change them.
package struct KeyAttributes: Sendable, Hashable {
    /// What the key signs: a base role, or a free name for a delegation's key. Empty when the file does not say.
    package var role: RoleName
    /// The collection whose role it signs; nil for root and delegation keys, which serve several.
    package var gun: String?
    /// In an export, the file name that the key had in its store. Never used as a path.
    package var path: String?

    package init(role: RoleName, gun: String? = nil, path: String? = nil) {
        self.role = role
        self.gun = gun
        self.path = path
    }

    /// True for the roles whose keys belong to one collection, and so carry its name.
    package static func belongsToCollection(_ role: RoleName) -> Bool {
        [.targets, .snapshot, .timestamp].contains(role)
    }

    /// - Throws: ``KeyStoreError`` with code `invalidName` when a file could not hold them.
    func check() throws {
        _ = try PEMBlock(type: "", headers: self.headers, content: []).serialized()
    }

    init(headers: [String: String]) {
        self.role = RoleName(headers["role"] ?? "")
        self.gun = headers["gun"].flatMap { $0.isEmpty ? nil : $0 }
        self.path = headers["path"].flatMap { $0.isEmpty ? nil : $0 }
    }

    var headers: [String: String] {
        var headers: [String: String] = [:]
        if !self.role.text.isEmpty { headers["role"] = self.role.text }
        if let gun = self.gun { headers["gun"] = gun }
        if let path = self.path { headers["path"] = path }
        return headers
    }
}

/// A private key as it lies in a file: one PEM block, encrypted or not.
package struct PrivateKeyPEM: Sendable, Hashable {
    private static let encryptedType = "ENCRYPTED PRIVATE KEY"
    private static let plainType = "PRIVATE KEY"
    private static let types = [
        encryptedType, plainType, "EC PRIVATE KEY", "RSA PRIVATE KEY", "ED25519 PRIVATE KEY",
    ]

    private var block: PEMBlock

    /// What the file says about the key.
    package var attributes: KeyAttributes {
        didSet {
            var headers = self.block.headers.filter { !["role", "gun", "path"].contains($0.key) }
            headers.merge(self.attributes.headers) { $1 }
            self.block.headers = headers
        }
    }

    /// True when a passphrase is needed to read it.
    package var isEncrypted: Bool { self.block.type == Self.encryptedType || OpenSSLEncryption.isUsed(by: self.block) }

    /// Whether Go's notary and docker read it as it is.
    var isNotarys: Bool { self.block.type == Self.encryptedType && EncryptedPKCS8.isNotarys(self.block.content) }

    private init(_ block: PEMBlock) {
        self.block = block
        self.attributes = KeyAttributes(headers: block.headers)
    }

    /// Reads a file that holds one private key; certificates and parameters beside it are skipped.
    /// - Throws: ``KeyStoreError`` with code `malformed` when it holds none, or several.
    package init(_ text: String) throws {
        let keys = try Self.all(in: text)
        guard keys.count == 1, let key = keys.first else {
            throw KeyStoreError(.malformed, "a file of one private key is expected, this one has \(keys.count)")
        }
        self = key
    }

    /// Reads all private keys of a file, such as an export of a whole store.
    /// - Throws: ``KeyStoreError`` with code `malformed` when there is none.
    package static func all(in text: String) throws -> [PrivateKeyPEM] {
        let keys = try PEMBlock.parse(text).filter { self.types.contains($0.type) }.map { PrivateKeyPEM($0) }
        guard !keys.isEmpty else { throw KeyStoreError(.malformed, "the file holds no private key") }
        return keys
    }

    /// Encrypts a key. Blocks while it derives the key from the passphrase, a second or so: run it by `BlockingWork`.
    /// - Parameters:
    ///   - key: the key.
    ///   - attributes: what the file says of it.
    ///   - passphrase: when empty, the key is written in clear, as Notary does.
    ///   - encryption: how; where Go's notary and docker need not read it, in OpenSSL's form of a key and without what the file says
    ///     of it, which OpenSSL does not read over.
    package init(
        _ key: PrivateKey,
        attributes: KeyAttributes,
        passphrase: Passphrase,
        encryption: KeyEncryption = .standard
    ) throws {
        guard case .notary = encryption else {
            let info = try PKCS8.encode(key.material)
            let content = try EncryptedPKCS8.encrypt(info, passphrase: passphrase, as: encryption)
            self.block = PEMBlock(type: Self.encryptedType, content: content)
            self.attributes = KeyAttributes(role: RoleName(""))
            return
        }
        let info = try PKCS8.encodeAsNotary(key.material)
        if passphrase.isEmpty {
            self.block = PEMBlock(type: Self.plainType, headers: attributes.headers, content: info)
        } else {
            let content = try EncryptedPKCS8.encrypt(info, passphrase: passphrase, as: encryption)
            self.block = PEMBlock(type: Self.encryptedType, headers: attributes.headers, content: content)
        }
        self.attributes = attributes
    }

    /// The PEM text.
    /// - Throws: ``KeyStoreError`` with code `invalidName` for a role or collection that would break the file's lines.
    package func serialized() throws -> String {
        try self.block.serialized()
    }

    /// Reads the key. Blocks for as long as the file's key derivation takes: run it by `BlockingWork`.
    /// - Parameter passphrase: not looked at when the key is not encrypted.
    /// - Throws: ``KeyStoreError`` with code `wrongPassphrase`, `malformed` or `unsupported`.
    package func decode(passphrase: Passphrase?) throws -> PrivateKey {
        guard self.isEncrypted else { return PrivateKey(try self.material(self.block.content)) }
        guard let passphrase else { throw KeyStoreError(.wrongPassphrase, "the key needs a passphrase") }
        let content =
            self.block.type == Self.encryptedType
            ? try EncryptedPKCS8.decrypt(self.block.content, passphrase: passphrase)
            : try OpenSSLEncryption.decrypt(self.block, passphrase: passphrase)
        do {
            return PrivateKey(try self.material(content))
        } catch let error as KeyStoreError where error.code == .malformed {
            // The wrong key turns one block in 256 into what looks like padding, and the rest into noise.
            throw KeyStoreError(.wrongPassphrase, "the passphrase does not open the key")
        }
    }

    private func material(_ content: [UInt8]) throws -> PrivateKey.Material {
        switch self.block.type {
        case "EC PRIVATE KEY": try PKCS8.decodeSEC1(content)
        case "RSA PRIVATE KEY": try PKCS8.decodePKCS1(content)
        case "ED25519 PRIVATE KEY": try PKCS8.decodeNotaryEd25519(content)
        default: try PKCS8.decode(content)
        }
    }
}
