// SPDX-License-Identifier: Apache-2.0

import Foundation
import NotaryAPI
import TUF
import Testing
import TrustClient
import Updater

/// A refusal by its code, and how a command exits with it. The numbers are the command's interface, written down anew here.
struct Refusal: Error, Hashable, CustomStringConvertible {
    let code: String
    let exitCode: Int32

    static let noTrustData = Refusal(code: "noTrustData", exitCode: 10)
    static let notSigned = Refusal(code: "notSigned", exitCode: 11)
    static let signature = Refusal(code: "signature", exitCode: 12)
    static let expired = Refusal(code: "expired", exitCode: 13)
    static let rollback = Refusal(code: "rollback", exitCode: 14)
    static let contentMismatch = Refusal(code: "contentMismatch", exitCode: 15)
    static let unreachable = Refusal(code: "unreachable", exitCode: 20)

    var description: String { "\(self.code) (\(self.exitCode))" }

    /// Runs a step that may be refused.
    /// - Throws: what is no refusal.
    static func of(_ step: () async throws -> Void) async throws -> Refusal? {
        do {
            try await step()
            return nil
        } catch let error as UpdaterError {
            return Refusal(code: error.code.rawValue, exitCode: error.code.exitCode)
        } catch let error as TrustClientError {
            return Refusal(code: error.code.rawValue, exitCode: error.code.exitCode)
        }
    }
}

/// A real client with a directory of its own.
struct Reader: Sendable {
    private enum Client: Sendable {
        case updater(Updater)
        case collection(CollectionClient)
    }

    private let client: Client
    let directory: String

    /// A client of a repository of TUF 1.0, to which a root was given.
    init(_ transport: any RepositoryTransport, root: [UInt8], directory: String, clock: TestClock) {
        self.directory = directory
        self.client = .updater(
            Updater(transport: transport, directory: directory, trustedRoot: root, now: { clock.now })
        )
    }

    /// A client of a Notary collection, to which the ids of root keys were given.
    init(_ transport: any TrustTransport, gun: GUN, pins: Set<KeyID>, directory: String, clock: TestClock) {
        self.directory = directory
        self.client = .collection(
            CollectionClient(
                gun: gun,
                transport: transport,
                cache: MetadataCache(directory: directory),
                anchor: .keyIDs(pins),
                now: { clock.now }
            )
        )
    }

    func update() async throws -> View {
        switch self.client {
        case .updater(let updater): View(.repository(try await updater.refresh()))
        case .collection(let client): View(.collection(try await client.update()))
        }
    }

    /// The name of a role's file in what is kept.
    func file(of role: RoleName) -> String {
        switch self.client {
        case .updater: "\(role).json"
        case .collection(let client):
            String(client.cache.path(of: role, in: client.gun).dropFirst(self.directory.utf8.count + 1))
        }
    }

    /// All that it has on disk of what it trusts.
    func kept() -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for case let path as String in FileManager.default.enumerator(atPath: self.directory) ?? .init() {
            guard path.hasSuffix(".json"), let data = FileManager.default.contents(atPath: "\(self.directory)/\(path)")
            else { continue }
            files[path] = Array(data)
        }
        return files
    }
}

/// What a client trusts at one moment.
struct View {
    enum Trusted {
        case repository(TrustedRepository)
        case collection(LoadedCollection)
    }

    private var trusted: Trusted

    init(_ trusted: Trusted) { self.trusted = trusted }

    var metadata: TrustedCollection {
        switch self.trusted {
        case .repository(let repository): repository.trusted
        case .collection(let collection): collection.trusted
        }
    }

    /// Why a client that goes on with what it has could not ask; nil when what it trusts is what it was told just now.
    var offline: Refusal? {
        guard case .collection(let collection) = self.trusted, let error = collection.offline else { return nil }
        return Refusal(code: error.code.rawValue, exitCode: error.code.exitCode)
    }

    /// The target of a path, and the role that lists it; nil when no role that may lists it.
    mutating func find(_ path: String) async throws -> (file: TargetFile, role: RoleName)? {
        switch self.trusted {
        case .repository(var repository):
            defer { self.trusted = .repository(repository) }
            do {
                let found = try await repository.find(path)
                return (found.file, found.role)
            } catch let error as UpdaterError where error.code == .notSigned {
                return nil
            }
        case .collection(var collection):
            defer { self.trusted = .collection(collection) }
            return try await collection.lookup(path).map { ($0.file, $0.role) }
        }
    }

    /// All paths that some role lists and may list.
    mutating func list() async throws -> [String] {
        switch self.trusted {
        case .repository(var repository):
            defer { self.trusted = .repository(repository) }
            return try await repository.list().map(\.path.text)
        case .collection(var collection):
            defer { self.trusted = .collection(collection) }
            return try await collection.list().map(\.name)
        }
    }

    /// Downloads a target of a repository.
    mutating func download(_ path: String, to file: String) async throws {
        guard case .repository(var repository) = self.trusted else { return }
        let target = try await repository.find(path)
        try await repository.download(target, to: file)
    }
}
