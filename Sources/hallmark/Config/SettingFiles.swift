// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import HTTPService
import Logging
import Registry
import Settings
import TokenAuthentication

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
        let certificates =
            await Self.certificates(settings) + Self.tokens(settings)
            + TokenServiceParts.problems(settings).filter { $0.severity == .error }
        return certificates + Self.directory(settings) + Self.registry(settings)
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

    /// The rules of retention, and who is told of events.
    private static func registry(_ settings: SettingValues) -> [SettingProblem] {
        var problems: [SettingProblem] = []
        func check(_ setting: Setting<String?>, _ read: () throws -> Void) {
            do {
                try read()
            } catch {
                let message = (error as? CommandError)?.message ?? "\(error)"
                problems.append(
                    SettingProblem(.error, settings.origin(of: setting), key: setting.declaration.key, message)
                )
            }
        }
        check(CollectionSettings.rules) { _ = try CollectionPolicy(settings) }
        check(RegistrySettings.events) { _ = try EventConfiguration(settings) }
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
