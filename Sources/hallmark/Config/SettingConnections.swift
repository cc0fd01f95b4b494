// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import HTTPService
import Logging
import Settings
import SignerAPI

/// The databases and the signer that settings name.
enum SettingConnections {
    private static let silent = Logger(label: "hallmark") { _ in SwiftLogNoOpLogHandler() }

    /// Connects to each, and changes nothing.
    static func problems(_ settings: SettingValues) async -> [SettingProblem] {
        var problems: [SettingProblem] = []
        for service in ServiceName.allCases where settings.services.contains(service) {
            if let problem = await Self.database(of: service, settings) { problems.append(problem) }
        }
        if settings.services.contains(.server), !settings.services.contains(.signer) {
            if let problem = await Self.signer(settings) { problems.append(problem) }
        }
        return problems
    }

    private static func database(of service: ServiceName, _ settings: SettingValues) async -> SettingProblem? {
        guard var configuration = ServiceDatabase(service: service, settings: settings).postgreSQL else { return nil }
        let setting = configuration.schema == nil ? DatabaseSettings.own(service) : DatabaseSettings.shared
        // A schema would be made.
        configuration.schema = nil
        configuration.maximumConnections = 1
        configuration.patience = 5_000
        do {
            let database = try await PostgreSQLDatabase(configuration, logger: Self.silent)
            let result = await Result { try await database.query([SQLStatement("SELECT 1")]) }
            try? await database.close()
            _ = try result.get()
            return nil
        } catch {
            let message = (error as? DatabaseError)?.message ?? "\(error)"
            return SettingProblem(.error, settings.origin(of: setting), key: setting.declaration.key, message)
        }
    }

    private static func signer(_ settings: SettingValues) async -> SettingProblem? {
        // What the local CA would have to make, nobody could be shown yet.
        guard settings[SignerSettings.authority] != nil, settings[SignerSettings.clientCertificate] != nil else {
            return nil
        }
        let authority = LocalCertificateAuthority(
            directory: settings[ServeSettings.data].expandingTilde,
            names: []
        )
        do {
            let signer = try await SignerParts.remote(settings, authority: authority, logger: Self.silent).signer
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await signer.run() }
                group.addTask { try await signer.check() }
                defer { group.cancelAll() }
                try await group.next()
            }
            return nil
        } catch {
            let setting = SignerSettings.remote
            return SettingProblem(.error, settings.origin(of: setting), key: setting.declaration.key, "\(error)")
        }
    }
}

extension Result where Failure == any Error {
    /// What an asynchronous operation comes to.
    fileprivate init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
