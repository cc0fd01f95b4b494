// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import NotaryAPI
import TUF

/// Publishers and readers at work on servers that share a database.
struct EnduranceRun: Sendable {
    private let client: EnduranceClient
    private let journal: EnduranceJournal
    private let publishers: [Publisher]

    /// What a reader found to be current.
    private struct Current {
        let version: Int64
        let names: Set<String>
    }

    /// Publishes each collection once.
    init(client: EnduranceClient, journal: EnduranceJournal, guns: [String]) async throws {
        self.client = client
        self.journal = journal
        var publishers: [Publisher] = []
        for gun in guns {
            let publisher = try await Publisher(gun: gun)
            let keys = try await ["timestamp.key", "snapshot.key"].asyncMap { name in
                let reply = await client.get(publisher.path + name, from: client.anyServer)
                guard case .answered(200, let body) = reply else { throw LoadError("\(gun): no \(name)") }
                return try KeyResponse.decode(body)
            }
            let first = try await publisher.first(timestampKey: keys[0], snapshotKey: keys[1])
            guard case .answered(200, _) = await client.send(first, to: client.anyServer) else {
                throw LoadError("\(gun) was not published")
            }
            publishers.append(publisher)
        }
        self.publishers = publishers
    }

    func work(publishers: Int, readers: Int, for duration: Duration, pause: Duration) async throws {
        let end = ContinuousClock.now + duration
        self.journal.begin()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<publishers {
                group.addTask {
                    var count = 0
                    while ContinuousClock.now < end, let publisher = self.publishers.randomElement() {
                        count += 1
                        try await self.publish("p\(number)-\(count)", with: publisher, until: end)
                        try await Task.sleep(for: pause)
                    }
                }
            }
            for _ in 0..<readers {
                group.addTask {
                    while ContinuousClock.now < end, let publisher = self.publishers.randomElement() {
                        _ = await self.read(publisher, from: self.client.anyServer)
                        try await Task.sleep(for: pause)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: Publishing

    /// Adds a name to a collection, as often as it takes until it is there.
    private func publish(_ name: String, with publisher: Publisher, until end: ContinuousClock.Instant) async throws {
        while ContinuousClock.now < end {
            guard let current = await self.read(publisher, from: self.client.anyServer) else {
                try await Task.sleep(for: .milliseconds(50))
                continue
            }
            // A publication without an answer may have been stored.
            if current.names.contains(name) { return }
            let update = try await publisher.update(
                version: current.version + 1,
                names: current.names.sorted() + [name]
            )
            switch await self.client.send(update, to: self.client.anyServer) {
            case .answered(200, _):
                return self.journal.acknowledged(name, in: publisher.gun)
            case .answered(400, let body):
                let error = NotaryError(decoding: body)
                guard error?.code == .version else {
                    let text = String(decoding: body.prefix(300), as: UTF8.self)
                    return self.journal.violation("\(name) of \(publisher.gun) was refused: \(text)")
                }
                self.journal.conflict()
            case .answered(let status, _):
                self.journal.violation("\(name) of \(publisher.gun) was answered with \(status)")
            case .none:
                self.journal.unknown()
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    // MARK: Reading

    /// Follows a collection from its timestamp to its targets.
    /// - Returns: nil when the server does not answer at the moment.
    private func read(_ publisher: Publisher, from server: String) async -> Current? {
        let before = self.journal.entry(of: publisher.gun)
        let current = await self.follow(publisher, from: server, since: before)
        self.journal.read(answered: current != nil)
        return current
    }

    private func follow(
        _ publisher: Publisher,
        from server: String,
        since before: EnduranceJournal.Entry
    ) async -> Current? {
        guard
            let timestamp = await self.file("timestamp", "timestamp.json", of: publisher, from: server, since: before),
            let snapshotHash = Self.hash(timestamp["meta"]?["snapshot"]),
            let snapshot = await self.file(
                "snapshot",
                "snapshot.\(snapshotHash).json",
                of: publisher,
                from: server,
                since: before
            ),
            let targetsHash = Self.hash(snapshot["meta"]?["targets"]),
            let targets = await self.file(
                "targets",
                "targets.\(targetsHash).json",
                of: publisher,
                from: server,
                since: before
            ),
            case .integer(let version) = targets["version"]
        else { return nil }
        var names: Set<String> = []
        for (name, _) in targets["targets"]?.object ?? [:] { names.insert(name) }
        self.journal.seen(names: names, in: publisher.gun, since: before, from: server)
        return Current(version: version, names: names)
    }

    /// One file, held to what is known of it.
    private func file(
        _ role: String,
        _ name: String,
        of publisher: Publisher,
        from server: String,
        since before: EnduranceJournal.Entry
    ) async -> JSONValue? {
        switch await self.client.get(publisher.path + name, from: server) {
        case .none: return nil
        case .answered(200, let body):
            let hash = Hexadecimal.encode(SHA256.hash(data: body))
            guard let signed = try? JSONParser.parse(body)["signed"],
                case .integer(let version) = signed["version"]
            else {
                self.journal.violation("\(server): \(name) of \(publisher.gun) is not metadata")
                return nil
            }
            if name != "\(role).json", name != "\(role).\(hash).json" {
                self.journal.violation("\(server): \(name) of \(publisher.gun) has the hash \(hash)")
            }
            self.journal.seen(role, version, sha256: hash, in: publisher.gun, since: before, from: server)
            return signed
        case .answered(let status, _):
            self.journal.violation("\(server): \(name) of \(publisher.gun) was answered with \(status)")
            return nil
        }
    }

    private static func hash(_ meta: JSONValue?) -> String? {
        guard case .string(let text) = meta?["hashes"]?["sha256"], let bytes = Data(base64Encoded: text) else {
            return nil
        }
        return Hexadecimal.encode(bytes)
    }

    // MARK: Afterwards

    /// Every server has everything that was acknowledged, and each version as it was seen.
    func verifyAll() async throws {
        for server in self.client.servers {
            let deadline = ContinuousClock.now + .seconds(60)
            for publisher in self.publishers {
                while await self.read(publisher, from: server) == nil {
                    guard ContinuousClock.now < deadline, self.journal.report.violations.isEmpty else {
                        return self.journal.violation("\(server) does not serve \(publisher.gun)")
                    }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        }
        for publisher in self.publishers {
            for role in ["timestamp", "snapshot", "targets"] {
                for (version, hash) in self.journal.hashes(of: role, in: publisher.gun) {
                    await self.verify(role, version, hash, of: publisher)
                }
            }
        }
    }

    private func verify(_ role: String, _ version: Int64, _ hash: String, of publisher: Publisher) async {
        let server = self.client.anyServer
        let reply = await self.client.get(publisher.path + "\(version).\(role).json", from: server)
        guard case .answered(200, let body) = reply, Hexadecimal.encode(SHA256.hash(data: body)) == hash else {
            return self.journal.violation(
                "\(server): \(role) of \(publisher.gun), version \(version), is no longer what it was"
            )
        }
    }
}

extension Sequence {
    /// One after the other.
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
