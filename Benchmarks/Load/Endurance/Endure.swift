// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Publishes and reads while servers come and go, and holds every reply to what was acknowledged or seen before it was asked for.
struct Endure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endure",
        abstract: "Publish to trust servers that share a database and read from them, whatever happens to them.",
        discussion: """
            Prints "publishing" when all collections are there, and a JSON object at the end. Fails if anything that was \
            acknowledged is not there, if a version comes back with other bytes, or if a reader sees a version go back.
            """
    )

    @Option(help: "https://HOST:PORT of a server; give one for each.")
    var url: [String]

    @Option(help: "The CA of the servers, PEM.")
    var cacert: String

    @Option(help: "Publishers, each of whom publishes to any of the collections.")
    var publishers = 16

    @Option(help: "Collections.")
    var collections = 64

    @Option(help: "Readers.")
    var readers = 8

    @Option(help: "How long to publish.")
    var seconds = 60

    @Option(help: "What the names of the collections begin with.")
    var prefix: String

    @Option(help: "How many milliseconds each publisher and reader rests between two requests.")
    var pause = 20

    func validate() throws {
        guard !self.url.isEmpty, self.publishers > 0, self.collections > 0, self.readers > 0, self.seconds > 0 else {
            throw ValidationError("--url must be there, and the numbers must be 1 or more")
        }
    }

    func run() async throws {
        let client = try EnduranceClient(servers: self.url, authority: self.cacert)
        let journal = EnduranceJournal()
        do {
            let run = try await EnduranceRun(
                client: client,
                journal: journal,
                guns: (0..<self.collections).map { "\(self.prefix)\($0)" }
            )
            print("publishing")
            fflush(nil)
            try await run.work(
                publishers: self.publishers,
                readers: self.readers,
                for: .seconds(self.seconds),
                pause: .milliseconds(self.pause)
            )
            try await run.verifyAll()
        } catch {
            try? await client.close()
            throw error
        }
        try await client.close()
        let report = journal.report
        print(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
        fflush(nil)
        guard report.violations.isEmpty else { throw ExitCode.failure }
    }
}
