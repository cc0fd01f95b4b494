// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import HTTPAccess
import HTTPService
import NIOCore
import NotaryAPI
import Synchronization
import TUF
import Testing
import TrustClient
import TrustServer
import Updater

/// Both ways in which metadata is written, served and read.
let bothFormats: [WireFormat] = [.tuf, .notary]

/// A real server, a real client, and an attacker between them: three sockets, of which the attacker holds two.
final class Scenario {
    let format: WireFormat
    let clock: TestClock
    let repository: Repository
    let attacker: Attacker
    /// A client that has seen the repository as it was in the beginning.
    let reader: Reader
    /// The honest server, past the attacker and without TLS.
    let plainURL: String
    /// The root that clients were given, or that has the keys that they were given.
    let shippedRoot: [UInt8]

    private let directory: String
    private let makeReader: (String) throws -> Reader
    private let step: Step

    /// How far the time that bodies are measured with goes on at each look.
    private final class Step: Sendable {
        private let state = Mutex<(now: NIODeadline, step: TimeAmount)>((.uptimeNanoseconds(0), .zero))

        func next() -> NIODeadline {
            self.state.withLock { state in
                state.now = state.now + state.step
                return state.now
            }
        }

        func set(_ step: TimeAmount) { self.state.withLock { $0.step = step } }
    }

    private init(
        _ repository: Repository,
        _ attacker: Attacker,
        plainURL: String,
        directory: String,
        step: Step,
        makeReader: @escaping (String) throws -> Reader
    ) throws {
        self.format = repository.format
        self.clock = repository.clock
        self.repository = repository
        self.attacker = attacker
        self.plainURL = plainURL
        self.shippedRoot = repository.root
        self.directory = directory
        self.step = step
        self.makeReader = makeReader
        self.reader = try makeReader("reader")
    }

    /// A client that knows the first root, and nothing else yet.
    func newcomer() throws -> Reader { try self.makeReader("newcomer-\(UUID())") }

    /// Answers some questions a byte at a time: from the first of them on, a minute passes between two looks at the time that
    /// bodies are measured with.
    func drip(_ isSlow: @escaping @Sendable (Attacker.Question) -> Bool) {
        let step = self.step
        self.attacker.begin { question in
            guard isSlow(question) else { return nil }
            step.set(.minutes(1))
            return .dripping(question.honest ?? [])
        }
    }

    /// Answers some questions with one byte more each time, then breaks the connection. A second passes between two looks at
    /// the time that bodies are measured with.
    /// - Returns: how often it was asked.
    func crumble(_ isSlow: @escaping @Sendable (Attacker.Question) -> Bool) -> @Sendable () -> Int {
        let step = self.step
        let counter = Counter()
        self.attacker.begin { question in
            guard isSlow(question), let honest = question.honest else { return nil }
            step.set(.seconds(1))
            let beginning = Array(honest.prefix(counter.next()))
            return .cut(beginning, of: Int64(honest.count))
        }
        return { counter.count }
    }

    private final class Counter: Sendable {
        private let value = Mutex(0)

        var count: Int { self.value.withLock { $0 } }

        func next() -> Int {
            self.value.withLock { value in
                value += 1
                return value
            }
        }
    }

    func stopAttack() {
        self.attacker.stop()
        self.step.set(.zero)
    }

    /// Where to download to.
    var downloads: String { "\(self.directory)/downloads" }

    /// Runs a repository with the target `app`, of which the reader has seen the first version.
    /// - Parameter listsHashes: whether snapshot and timestamp say more of metadata than its version. Notary's always do.
    static func with(
        _ format: WireFormat,
        thresholds: [RoleName: Int64] = [:],
        rootDays: Double = 3650,
        listsHashes: Bool = true,
        _ setUp: (Repository) async throws -> Void = { _ in },
        _ body: (Scenario) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "adversary-\(UUID())").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let clock = TestClock()
        let gun = try GUN("example.com/team/app")
        func run(_ host: any Host, url: String) async throws {
            let repository = Repository(format, gun: gun.text, host: host, clock: clock)
            repository.rootDays = rootDays
            try await repository.begin(thresholds: thresholds)
            try repository.set("app", "app 1")
            try await setUp(repository)
            try await repository.publish()
            try await self.attacked(repository, gun, url: url, in: directory, body)
        }
        switch format {
        case .tuf:
            let files = FileServer()
            let host = StaticHost(files, listsHashes: listsHashes, clock: clock)
            try await LoopbackServer.with(files) { try await run(host, url: $0) }
        case .notary:
            let signer = MemorySigner()
            let server = try await TrustServer(
                configuration: TrustServerConfiguration(),
                database: try await SQLiteDatabase(path: "\(directory)/trust.db"),
                signer: signer,
                logger: LoopbackServer.logger,
                now: { clock.now }
            )
            try await LoopbackServer.with(server.responder) { url in
                try await NotaryTransport.with(try NotaryServer(url: url)) {
                    try await run(TrustServerHost($0, signer, gun: gun), url: url)
                }
            }
        }
    }

    /// Runs an attacker before a server, and a client that only sees the attacker.
    private static func attacked(
        _ repository: Repository,
        _ gun: GUN,
        url plainURL: String,
        in directory: String,
        _ body: (Scenario) async throws -> Void
    ) async throws {
        let attacker = Attacker(upstream: plainURL)
        let authority = LocalCertificateAuthority(directory: "\(directory)/tls")
        let identity = try await TLSIdentity.load(.authority(authority), logger: LoopbackServer.logger)
        let clock = repository.clock
        let root = repository.root
        let step = Step()
        try await LoopbackServer.with(attacker, tls: identity.contexts) { url in
            let makeReader: (String) throws -> Reader
            let shutDown: () async throws -> Void
            switch repository.format {
            case .tuf:
                var server = try RepositoryServer(metadata: url + "/metadata", targets: url + "/targets")
                server.authorities = [Array(try Data(contentsOf: URL(fileURLWithPath: authority.certificatePath)))]
                server.proxy = .none
                let transport = try HTTPTransport(server, uptime: { step.next() }, pause: { _ in })
                makeReader = { Reader(transport, root: root, directory: "\(directory)/\($0)", clock: clock) }
                shutDown = { try await transport.shutdown() }
            case .notary:
                var server = try NotaryServer(url: url)
                server.authorityFiles = [authority.certificatePath]
                let transport = try NotaryTransport(server, uptime: { step.next() })
                let pins = Set(try repository.rootPayload(repository.keys).roles[.root]?.keyIDs ?? [])
                makeReader = {
                    Reader(transport, gun: gun, pins: pins, directory: "\(directory)/\($0)", clock: clock)
                }
                shutDown = { try await transport.shutdown() }
            }
            do {
                let scenario = try Scenario(
                    repository,
                    attacker,
                    plainURL: plainURL,
                    directory: directory,
                    step: step,
                    makeReader: makeReader
                )
                _ = try await scenario.reader.update()
                try await body(scenario)
            } catch {
                try? await shutDown()
                throw error
            }
            try await shutDown()
        }
    }
}

// MARK: - What every attack must come to

extension Scenario {
    /// The client must refuse an update, or what is done with it, and keep what it has, byte for byte.
    ///
    /// - Parameters:
    ///   - reader: by default the one that has seen the repository.
    ///   - moving: metadata that is good, and that a client of TUF's format keeps as soon as it is verified, though what comes
    ///     after it is refused. One of Notary's keeps all or nothing.
    func expectRefusal(
        _ expected: Refusal?,
        of reader: Reader? = nil,
        moving: [RoleName: [UInt8]] = [:],
        _ comment: Comment? = nil,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ step: (inout View) async throws -> Void = { _ in }
    ) async throws {
        let reader = reader ?? self.reader
        var expectedFiles = reader.kept()
        if self.format == .tuf { for (role, bytes) in moving { expectedFiles[reader.file(of: role)] = bytes } }
        let refusal = try await Refusal.of {
            var view = try await reader.update()
            try await step(&view)
        }
        #expect(refusal == expected, comment, sourceLocation: sourceLocation)
        self.expectKept(expectedFiles, reader, sourceLocation)
    }

    private func expectKept(_ files: [String: [UInt8]], _ reader: Reader, _ sourceLocation: SourceLocation) {
        let kept = reader.kept()
        let differing = Set(kept.keys).union(files.keys).filter { kept[$0] != files[$0] }.sorted()
        #expect(differing == [], "these files must be what they were", sourceLocation: sourceLocation)
    }

    /// Once the attack is over the same client must come to the newest state by itself.
    /// - Parameter targets: what must be found then.
    func expectRecovery(
        of reader: Reader? = nil,
        _ targets: [String: String] = ["app": "app 1"],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        self.stopAttack()
        let reader = reader ?? self.reader
        var view = try await reader.update()
        #expect(view.offline == nil, sourceLocation: sourceLocation)
        for (path, content) in targets {
            #expect(try await view.find(path)?.file == .content(content), sourceLocation: sourceLocation)
        }
        let kept = reader.kept()
        for role in RoleName.topLevel {
            #expect(
                kept[reader.file(of: role)] == (try await self.repository.current(role)),
                "\(role) must be the newest",
                sourceLocation: sourceLocation
            )
        }
    }
}
