// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import NIOCore
import NotaryAPI
import TUF

/// Puts load on a server where a general load generator cannot: each request follows from replies before it, and each
/// reply is checked. Prints one JSON object.
@main
struct HallmarkLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hallmark-load",
        subcommands: [PublishLoad.self, BlobLoad.self, Endure.self, HashingSpeed.self]
    )
}

struct TargetOptions: ParsableArguments {
    @Option(help: "http[s]://HOST:PORT of the server.")
    var url: String

    @Option(help: "The CA of an https server, PEM.")
    var cacert: String?

    @Option(help: "How many connections, each with one request at a time.")
    var connections = 8

    @Option(help: "How many operations altogether.")
    var count = 1000

    @Option(help: "Tells the names of this run from another's.")
    var run: String

    func validate() throws {
        guard self.connections > 0, self.count >= self.connections else {
            throw ValidationError("--connections must be 1 or more, --count no less than that")
        }
    }

    func load() throws -> LoadRun {
        LoadRun(target: try LoadTarget(url: self.url, authority: self.cacert))
    }
}

/// Publishes new targets of many collections, with snapshot and timestamp left to the server.
struct PublishLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "publish")

    @OptionGroup var options: TargetOptions

    @Option(help: "How many collections each connection publishes to in turn.")
    var collections = 4

    func run() async throws {
        let load = try self.options.load()
        let publishers = try await self.begin(load)
        let perCollection = self.options.count / (self.options.connections * self.collections)
        var conversations: [Prepared] = []
        for mine in publishers {
            var requests: [LoadRequest] = []
            for version in 0..<perCollection {
                for publisher in mine { requests.append(try await publisher.update(version: Int64(version) + 2)) }
            }
            conversations.append(Prepared(requests))
        }
        let result = try await load.run(conversations)
        for publisher in publishers.joined() {
            try await self.check(publisher, version: Int64(perCollection) + 1, load)
        }
        try LoadReport(elapsed: result.elapsed, durations: result.durations).print()
    }

    /// - Returns: for each connection its collections, all of them published once.
    private func begin(_ load: LoadRun) async throws -> [[Publisher]] {
        var publishers: [[Publisher]] = []
        for connection in 0..<self.options.connections {
            var mine: [Publisher] = []
            for number in 0..<self.collections {
                let publisher = try await Publisher(gun: "bench.example/\(self.options.run)/\(connection)-\(number)")
                let keys = [Fetch(publisher.path + "timestamp.key"), Fetch(publisher.path + "snapshot.key")]
                for fetch in keys { _ = try await load.run([fetch]) }
                let first = try await publisher.first(
                    timestampKey: KeyResponse.decode(Array(keys[0].body.readableBytesView)),
                    snapshotKey: KeyResponse.decode(Array(keys[1].body.readableBytesView))
                )
                _ = try await load.run([Prepared([first])])
                mine.append(publisher)
            }
            publishers.append(mine)
        }
        return publishers
    }

    /// What was acknowledged must be there: the last targets, under a timestamp that has counted every publish.
    private func check(_ publisher: Publisher, version: Int64, _ load: LoadRun) async throws {
        for role in ["targets", "timestamp"] {
            let fetch = Fetch(publisher.path + role + ".json")
            _ = try await load.run([fetch])
            let found = try JSONParser.parse(Array(fetch.body.readableBytesView))["signed"]?["version"]
            guard found == .integer(version) else {
                throw LoadError("\(publisher.gun): \(role) should have version \(version)")
            }
        }
    }
}

/// Uploads small blobs to a registry.
struct BlobLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "blobs")

    @OptionGroup var options: TargetOptions

    @Option(help: "Bytes of each blob.")
    var size = 8192

    func run() async throws {
        let conversations = (0..<self.options.connections).map { connection in
            SmallBlobs(
                count: self.options.count / self.options.connections,
                size: self.size,
                repository: "bench/small",
                run: self.options.run,
                connection: connection
            )
        }
        let result = try await self.options.load().run(conversations)
        try LoadReport(elapsed: result.elapsed, durations: result.durations).print()
    }
}

/// The figures of one run.
struct LoadReport: Encodable {
    let count: Int
    /// Operations a second.
    let rate: Double
    let p50Milliseconds: Double
    let p99Milliseconds: Double

    /// - Parameter durations: in nanoseconds, from short to long.
    init(elapsed: Int64, durations: [Int64]) throws {
        guard !durations.isEmpty else { throw LoadError("no operation was completed") }
        func milliseconds(_ percent: Int) -> Double {
            Double(durations[min(durations.count - 1, durations.count * percent / 100)]) / 1e6
        }
        self.count = durations.count
        self.rate = Double(durations.count) / (Double(elapsed) / 1e9)
        self.p50Milliseconds = milliseconds(50)
        self.p99Milliseconds = milliseconds(99)
    }

    func print() throws {
        Swift.print(String(decoding: try JSONEncoder().encode(self), as: UTF8.self))
    }
}
