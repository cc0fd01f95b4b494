// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI
import TUFRepository
import TrustClient

/// `hallmark reset`
struct Reset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drop what is staged, and what waits for signatures."
    )

    @OptionGroup var operand: CollectionOperand

    @Option(
        name: [.customShort("n"), .customLong("number")],
        parsing: .singleValue,
        help: ArgumentHelp(
            "On a trust server, drop these changes alone, by their numbers in hallmark status: repeated, or with commas.",
            valueName: "number"
        )
    )
    var numbers: [String] = []

    @Flag(help: "Drop all changes, and what waits for signatures. In a directory this is always so.")
    var all = false

    @Flag(help: "On a trust server, drop only what waits for signatures: what it was made of stays staged.")
    var pending = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.operand.collection.check(onlyServers: [
            ("--number", !self.numbers.isEmpty), ("--pending", self.pending),
        ])
        guard self.operand.collection.isGUN else { return }
        let places = try self.places
        guard [self.all, self.pending, !places.isEmpty].count(where: { $0 }) == 1 else {
            throw ValidationError(
                "say which changes: --all, --number with the numbers that hallmark status shows, or --pending"
            )
        }
    }

    private var places: [Int] {
        get throws {
            try self.numbers.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.map { text in
                guard let place = Int(text), place >= 0 else {
                    throw ValidationError("the number of a change is 0 or more, not \(text)")
                }
                return place
            }
        }
    }

    func run() async throws {
        var report = ChangeReport(self.operand.collection.name, self.output)
        switch try self.operand.collection.changeable(by: "reset") {
        case .gun(let gun):
            let collection = try self.trust.managed(gun)
            let places = try self.places
            if self.pending {
                try await collection.ceremonies.drop()
                report.say("Dropped what waited for signatures for repository \(gun)")
                break
            }
            report.add(
                dropped: self.all ? try await collection.reset() : try await collection.reset(at: places)
            )
            report.say("Successfully reset specified changes for repository \(gun)")
        case .directory(let directory):
            try await self.trust.reader(of: directory).reset()
            report.say("Dropped all staged changes of \(directory).")
        }
        report.finish()
    }
}
