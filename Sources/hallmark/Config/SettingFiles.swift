// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import DurableFiles
import Foundation
import HTTPService
import Logging
import Settings
import TokenAuthentication
import TokenService
import TrustSigner

/// The files that settings name.
enum SettingFiles {
    /// - Throws: ``CommandError`` for the first that cannot be read.
    static func requireReadable(_ settings: SettingValues) throws {
        for problem in Self.unreadable(settings) { throw CommandError(.failure, problem.description) }
    }

    /// Everything that is wrong with them.
    static func problems(_ settings: SettingValues) async -> [SettingProblem] {
        let unreadable = Self.unreadable(settings)
        guard unreadable.isEmpty else { return unreadable }
        let contents = await Self.certificates(settings) + Self.tokens(settings) + Self.passphrase(settings)
        return contents + Self.users(settings) + Self.directory(settings) + Self.passwords(settings)
    }

    /// The files of the token service. A line of users that is wrong locks out that user alone.
    private static func users(_ settings: SettingValues) -> [SettingProblem] {
        var problems: [SettingProblem] = []
        if let path = settings[TokenServiceSettings.users]?.expandingTilde {
            let users = UsersFile(parsing: Self.text(path, limit: UsersFile.maximumSize))
            for problem in users.problems {
                let place = SettingOrigin.file(path: path, line: problem.line)
                problems.append(SettingProblem(.warning, place, "\(problem.error)"))
            }
        }
        if let path = settings[TokenServiceSettings.rules]?.expandingTilde {
            do {
                _ = try RulesFile.rules(parsing: Self.text(path, limit: 1 << 20), path: path)
            } catch {
                let setting = TokenServiceSettings.rules
                let origin = settings.origin(of: setting)
                problems.append(SettingProblem(.error, origin, key: setting.declaration.key, "\(error)"))
            }
        }
        return problems
    }

    /// What a file says that is known to be readable.
    private static func text(_ path: String, limit: Int) -> String {
        let bytes = try? DurableFile.read(path, limit: limit)
        return String(decoding: bytes ?? [], as: UTF8.self)
    }

    /// A passphrase that is named must be there. Perhaps it is, where the service is started.
    private static func passphrase(_ settings: SettingValues) async -> [SettingProblem] {
        let setting = SignerSettings.defaultAlias
        guard settings.services.contains(.signer), let alias = settings[setting] else { return [] }
        do {
            _ = try await SignerParts.passphrases(settings).passphrase(forAlias: alias, keysExist: true)
            return []
        } catch {
            let origin = settings.origin(of: setting)
            return [SettingProblem(.warning, origin, key: setting.declaration.key, "\(error)")]
        }
    }

    /// Files with the password of a database that everybody on the machine can read.
    private static func passwords(_ settings: SettingValues) -> [SettingProblem] {
        settings.all.compactMap { entry in
            guard case .file(let path, _, _) = entry.origin, entry.shownWords != entry.words,
                let mode = DurableFile.mode(of: path), mode.permissions & 0o004 != 0
            else { return nil }
            let message = "has a password in a file that everybody on this machine can read: chmod o-r \(path)"
            return SettingProblem(.warning, entry.origin, key: entry.declaration.key, message)
        }
    }

    private static func unreadable(_ settings: SettingValues) -> [SettingProblem] {
        settings.all.flatMap { entry -> [SettingProblem] in
            guard entry.declaration.isPath, entry.declaration.key != ServeSettings.data.declaration.key else {
                return []
            }
            return (entry.words ?? []).filter { !entry.declaration.keywords.contains($0) }.compactMap { path in
                let path = path.expandingTilde
                let descriptor = open(path, O_RDONLY | O_CLOEXEC)
                guard descriptor < 0 else {
                    _ = close(descriptor)
                    return nil
                }
                let reason = String(cString: strerror(errno))
                let message = "cannot read \(path): \(reason)"
                return SettingProblem(.error, entry.origin, key: entry.declaration.key, message)
            }
        }
    }

    /// Keys and certificates must belong together, and authorities be certificates.
    private static func certificates(_ settings: SettingValues) async -> [SettingProblem] {
        var problems: [SettingProblem] = []
        func check(
            _ certificate: Setting<String?>?,
            _ key: Setting<String?>?,
            _ authority: Setting<String?>? = nil,
            for purpose: TLSIdentity.Purpose
        ) async {
            var path = authority.flatMap { settings[$0] }
            if path == SignerSettings.systemAuthorities { path = nil }
            var source = TLSIdentity.Source.anonymous
            if let chain = certificate.flatMap({ settings[$0] }), let key = key.flatMap({ settings[$0] }) {
                source = .files(certificate: chain.expandingTilde, key: key.expandingTilde)
            } else if path == nil {
                return
            }
            do {
                _ = try await TLSIdentity.load(
                    source,
                    for: purpose,
                    peerAuthorities: path?.expandingTilde,
                    logger: Logger(label: "hallmark") { _ in SwiftLogNoOpLogHandler() }
                )
            } catch {
                guard let named = certificate ?? authority else { return }
                let origin = settings.origin(of: named)
                problems.append(SettingProblem(.error, origin, key: named.declaration.key, "\(error)"))
            }
        }
        await check(ServeSettings.certificate, ServeSettings.key, for: .httpServer)
        // An authority is looked at as a client's: only there can it stand alone.
        await check(nil, nil, TrustServerSettings.clientAuthority, for: .grpcClient)
        await check(SignerSettings.certificate, SignerSettings.key, for: .grpcServer)
        await check(nil, nil, SignerSettings.clientAuthority, for: .grpcClient)
        await check(SignerSettings.clientCertificate, SignerSettings.clientKey, for: .grpcClient)
        await check(nil, nil, SignerSettings.authority, for: .grpcClient)
        return problems
    }

    private static func tokens(_ settings: SettingValues) async -> [SettingProblem] {
        do {
            _ = try await Authentication.verifier(
                settings,
                logger: Logger(label: "hallmark") { _ in SwiftLogNoOpLogHandler() }
            )
            return []
        } catch {
            let setting =
                settings[AuthenticationSettings.certificates] == nil
                ? AuthenticationSettings.keySet : AuthenticationSettings.certificates
            return [
                SettingProblem(.error, settings.origin(of: setting), key: setting.declaration.key, "\(error)")
            ]
        }
    }

    /// The directory of everything must be there, or it must be possible to make it.
    private static func directory(_ settings: SettingValues) -> [SettingProblem] {
        guard var path = DataDirectory.path(settings) else { return [] }
        if !path.hasPrefix("/") { path = FileManager.default.currentDirectoryPath + "/" + path }
        var nearest = path
        while access(nearest, F_OK) != 0, nearest != "/" {
            nearest = (nearest as NSString).deletingLastPathComponent
        }
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: nearest, isDirectory: &isDirectory)
        let origin = settings.origin(of: ServeSettings.data)
        let key = ServeSettings.data.declaration.key
        guard exists, isDirectory.boolValue else {
            return [SettingProblem(.error, origin, key: key, "\(nearest) is not a directory")]
        }
        guard access(nearest, W_OK | X_OK) == 0 else {
            return [
                SettingProblem(
                    .error,
                    origin,
                    key: key,
                    "\(nearest) cannot be written: \(String(cString: strerror(errno)))"
                )
            ]
        }
        return []
    }
}
