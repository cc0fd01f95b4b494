// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import TUF

extension TrustPlugin {
    private static let maximumKeyFile = 64 << 10

    /// `docker trust key generate`
    func generateKey(_ name: String, directory: String, _ tools: Tools) async throws {
        try Self.checkKeyName(name)
        let folder = directory.isEmpty ? FileManager.default.currentDirectoryPath : directory
        guard FileManager.default.fileExists(atPath: folder) else {
            throw TrustPluginFailure("public key path does not exist: \"\(folder)\"")
        }
        let path = (folder as NSString).appendingPathComponent(name + ".pub")
        guard !FileManager.default.fileExists(atPath: path) else {
            throw TrustPluginFailure("public key file already exists: \"\(path)\"")
        }
        self.console.print("Generating key for \(name)...")
        let key = try await self.makeKey(name, tools)
        let text = try Self.publicKeyText(key, name)
        do {
            guard try await BlockingWork.run({ try DurableFile.create(path, with: Array(text.utf8)) }) else {
                throw TrustPluginFailure("public key file already exists: \"\(path)\"")
            }
        } catch let error as FileSystemError {
            throw TrustPluginFailure("failed to write public key to \(path): \(error)")
        }
        self.console.print(
            "Successfully generated and loaded private key. Corresponding public key available: \(path)"
        )
    }

    /// Makes a signer's key in the trust directory.
    func makeKey(_ name: String, _ tools: Tools) async throws -> PublicKey {
        let key = try await PrivateKey.generate(.p256)
        let store = try await tools.settings.keyStore()
        do {
            try await store.add(key, role: RoleName(name), passphrases: tools.passphrases)
        } catch {
            throw TrustPluginFailure("failed to generate key for \(name): \(error)")
        }
        return key.publicKey
    }

    /// The public key in PEM, with the signer's name as a header.
    private static func publicKeyText(_ key: PublicKey, _ name: String) throws -> String {
        let lines = try PublicKeyFile.text(key).split(separator: "\n", omittingEmptySubsequences: false)
        return (lines.prefix(1) + ["role: \(name)", ""] + lines.dropFirst()).joined(separator: "\n")
    }

    /// `docker trust key load`
    func loadKey(_ path: String, name: String, _ tools: Tools) async throws {
        if !name.isEmpty { try Self.checkKeyName(name) }
        self.console.print("Loading key from \"\(path)\"...")
        let file: PrivateKeyPEM
        do {
            file = try PrivateKeyPEM(String(decoding: try await Self.readPrivate(path), as: UTF8.self))
        } catch let error as KeyStoreError where error.code == .malformed {
            throw TrustPluginFailure(
                "error importing key from \(path): provided file \(path) is not a supported private key - to add a signer's public "
                    + "key use docker trust signer add"
            )
        } catch let error as KeyStoreError {
            throw TrustPluginFailure("error importing key from \(path): \(error)")
        }
        let store = try await tools.settings.keyStore()
        do {
            try await store.importKey(file, role: RoleName(name), passphrases: tools.passphrases)
        } catch {
            throw TrustPluginFailure("error importing key from \(path): \(error)")
        }
        self.console.print("Successfully imported key from \(path)")
    }

    /// Reads a file that nobody else may read.
    private static func readPrivate(_ path: String) async throws -> [UInt8] {
        func refusal(_ reason: String) -> TrustPluginFailure {
            TrustPluginFailure("refusing to load key from \(path): \(reason)")
        }
        let mode: Int
        do {
            mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? 0o777
        } catch {
            throw refusal("stat \(path): no such file or directory")
        }
        guard mode & 0o077 == 0 else {
            throw refusal("private key file \(path) must not be readable or writable by others")
        }
        do {
            let bytes = try await BlockingWork.run { try DurableFile.read(path, limit: self.maximumKeyFile) }
            return bytes ?? []
        } catch {
            throw refusal("\(error)")
        }
    }

    private static func checkKeyName(_ name: String) throws {
        guard self.isName(name) else {
            throw TrustPluginFailure(
                "key name \"\(name)\" must start with lowercase alphanumeric characters and can include \"-\" or \"_\" after the "
                    + "first character"
            )
        }
    }

    /// Lower-case letters and digits; after the first, hyphens and underscores.
    static func isName(_ name: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        guard let first = name.utf8.first, isAlphanumeric(first) else { return false }
        return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }
}
