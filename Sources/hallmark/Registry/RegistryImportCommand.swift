// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import Logging
import Registry
import Settings

/// `hallmark registry import`
struct RegistryImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take over what a docker-registry keeps in files: blobs, manifests and tags.",
        discussion: """
            Every digest is verified; files get another name where the file system can, and take no more room. What is here \
            is left alone, so an import that broke off is taken up by running it again. What is broken there is told and \
            left. The other registry may be served meanwhile, read-only; ours too.
            """
    )

    @Argument(help: ArgumentHelp("docker-registry's rootdirectory.", valueName: "directory"), completion: .directory)
    var directory: String

    @Flag(name: .customLong("move-tags"), help: "Set tags that stand for something else here, too.")
    var movesTags = false

    @Flag(
        name: .customLong("dry-run"),
        help: "Look at links and manifests, say what would be imported, and do nothing."
    )
    var isRehearsal = false

    @Option(
        name: [.customShort("j"), .long],
        help: ArgumentHelp("How many blobs to verify at once.", valueName: "number")
    )
    var jobs = 4

    @OptionGroup var place: RegistryPlaceOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...64).contains(self.jobs) else { throw ValidationError("--jobs is a number from 1 to 64") }
    }

    func run() async throws {
        let settings = try self.place.settings()
        var options = RegistryImport.Options()
        options.concurrency = self.jobs
        options.movesTags = self.movesTags
        options.isRehearsal = self.isRehearsal
        let (chosen, source) = (options, self.directory.expandingTilde)
        let display = ImportDisplay(isEnabled: self.output.output == .text)
        let report: ImportReport
        do {
            report = try await Interruption.guarding {
                try await RegistryPlace.make(settings)
                return try await RegistryPlace.with(settings) { place, _ in
                    let progress = ImportProgress()
                    let run = try await RegistryImport(
                        directory: source,
                        blobs: place.blobs,
                        foreign: place.foreign,
                        database: place.database,
                        options: chosen,
                        progress: progress
                    )
                    return try await display.showing(progress) { try await run.run() }
                }
            }
        } catch let error as CommandError where error.code == .interrupted {
            throw CommandError(.interrupted, "interrupted; run it again to import what is missing")
        } catch let error as ImportError {
            throw CommandError(.failure, error.description)
        }
        ImportOutput(report, isRehearsal: self.isRehearsal).write(as: self.output.output)
        guard report.problemCount == 0 else {
            throw CommandError(
                .failure,
                "\(report.problemCount) things were left, since they are broken or missing there"
            )
        }
    }
}
