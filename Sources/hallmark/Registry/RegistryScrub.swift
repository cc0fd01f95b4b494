// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import Registry
import Settings

/// `hallmark registry scrub`
struct RegistryScrub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scrub",
        abstract: "Read everything that the registry keeps, and see whether it is still right.",
        discussion: """
            A blob whose bytes are others than its digest says is marked: clients are told that it is not there, and push it again, \
            which repairs it. Exit code 15 when something is wrong. The registry may serve meanwhile. A scrub that is ended goes on \
            where it was when the command is given again.
            """
    )

    @Option(
        help: ArgumentHelp(
            "The most bytes of blobs to read in a second, such as 50MiB. Default: no limit.",
            valueName: "size"
        )
    )
    var rate: String?

    @Option(
        name: .customLong("older-than"),
        help: ArgumentHelp("Leave out the blobs that were verified within so many days.", valueName: "days")
    )
    var olderThan = 0

    @Flag(help: "Begin anew, where an earlier scrub was ended.")
    var restart = false

    @Flag(name: .customLong("dry-run"), help: "Mark nothing: only say what is wrong.")
    var dryRun = false

    @Option(help: ArgumentHelp("How long to wait while another process scrubs.", valueName: "seconds"))
    var wait = 600

    @OptionGroup var place: RegistryPlaceOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (0...36_500).contains(self.olderThan) else { throw ValidationError("--older-than is a number of days") }
        if let rate = self.rate, ByteCount.parse(rate) ?? 0 <= 0 {
            throw ValidationError("--rate is a size such as 50MiB")
        }
    }

    func run() async throws {
        let settings = try self.place.settings()
        let isJSON = self.output.output == .json
        let progress = StepProgress(isEnabled: !isJSON)
        let isFirst = FirstTime()
        let wait = self.wait
        var options = Scrubber.Options()
        options.bytesPerSecond = self.rate.flatMap(ByteCount.parse).map { Int64($0) }
        options.verifiedWithin = Int64(self.olderThan) * 86_400
        options.restarts = self.restart
        options.isDry = self.dryRun
        var observer = ScrubObserver()
        observer.progress = { blobs, bytes in
            progress.show("reading: \(blobs.0) of \(blobs.of) blobs, \(bytes.0 >> 20) of \(bytes.of >> 20) MiB")
        }
        observer.problem = { problem in
            if isJSON {
                print(isFirst.pass() ? "" : ",")
                print(JSONOutput.text(problem), terminator: "")
            } else {
                progress.clear()
                Self.show(problem)
            }
        }
        let (settledOptions, settled) = (options, observer)
        if isJSON { print("{\n\"problems\" : [", terminator: "") }
        let allowsSparse = settings[RegistrySettings.sparse] != "none"
        let summary = try await ChoreWait.guarding {
            defer { progress.clear() }
            return try await RegistryPlace.with(settings) { place, logger in
                let scrubber = try await Scrubber(
                    place.contents(),
                    allowsSparseIndexes: allowsSparse,
                    logger: logger
                )
                return try await ChoreWait.run(seconds: wait, progress: progress, what: "scrubs") {
                    try await scrubber.run(settledOptions, observer: settled)
                }
            }
        }
        if isJSON {
            print("\n],\n\"summary\" : \(JSONOutput.text(summary))\n}")
        } else {
            print(
                "\(summary.resumed ? "Went on and read" : "Read") \(summary.blobs) blobs with \(summary.bytes) bytes and "
                    + "\(summary.manifests) manifests: \(summary.problems) problems. \(summary.orphans) leftovers with "
                    + "\(summary.orphanBytes) bytes wait to be collected."
            )
        }
        guard summary.problems == 0 else { throw ScrubFailure(count: summary.problems) }
    }

    private static func show(_ problem: ScrubProblem) {
        print(TerminalText.line("\(problem.kind.rawValue) \(problem.digest): \(problem.message)"))
        for place in problem.affected {
            let tags = place.tags.isEmpty ? "no tag" : place.tags.joined(separator: ", ")
            print(TerminalText.line("    \(place.repository)@\(place.manifest): \(tags)"))
        }
    }
}

/// A scrub has found something.
struct ScrubFailure: Error, CustomStringConvertible {
    let count: Int64

    var description: String {
        "\(self.count) \(self.count == 1 ? "thing is" : "things are") not as they should be; push again what is damaged or missing"
    }
}
