// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// `hallmark verify`
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Verify content of a trust server's collection; or a whole repository, in a directory or at a URL.",
        discussion: """
            On a trust server: reads standard input (or FILE) and, once all of it is what TARGET names, writes it to standard \
            output (or -o). Exit code 15, and not a byte written, when it is not.

            Of a repository: every root in turn, the timestamp, the snapshot, every role, and every target's file that is there.
            """
    )

    @Argument(
        help: ArgumentHelp(
            "A collection's globally unique name, a repository's directory (/…, ./…, ../…, file:…) or its URL.",
            valueName: "collection"
        ),
        completion: .collections,
        transform: CollectionArgument.init(argument:)
    )
    var collection: CollectionArgument

    @Argument(help: ArgumentHelp("On a trust server: the name that it was signed under.", valueName: "target"))
    var target: String?

    @Argument(
        help: ArgumentHelp("On a trust server: the content, in place of standard input.", valueName: "file"),
        completion: .file()
    )
    var file: String?

    @Option(
        name: [.customShort("i"), .long],
        help: ArgumentHelp("The same as FILE.", valueName: "file")
    )
    var input: String?

    @Option(
        name: [.customShort("o"), .customLong("output-file")],
        help: ArgumentHelp("On a trust server: write the verified content here.", valueName: "file")
    )
    var outputFile: String?

    @Flag(name: [.customShort("q"), .long], help: "On a trust server: write no content, only verify.")
    var quiet = false

    @Flag(help: "Of a repository in a directory: leave the targets' files out.")
    var metadataOnly = false

    @OptionGroup var remote: RemoteRepositoryOptions
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.collection.check(
            onlyDirectories: [("--metadata-only", self.metadataOnly), ("--root", self.remote.root != nil)],
            onlyServers: [
                ("a target", self.target != nil), ("--input", self.input != nil),
                ("--output-file", self.outputFile != nil), ("--quiet", self.quiet),
            ]
        )
        guard self.collection.isGUN else { return }
        guard self.target != nil else { throw ValidationError("say which target it should be") }
        guard self.file == nil || self.input == nil else { throw ValidationError("give the content once") }
        guard self.outputFile == nil || !self.quiet else {
            throw ValidationError("--quiet writes no content: leave --output-file out")
        }
    }

    func run() async throws {
        switch self.collection {
        case .gun(let gun): try await self.verify(gun)
        case .directory(let directory): try await self.verify(directory: directory)
        case .url(let url): try await self.verify(url: url)
        }
    }

    private func verify(_ gun: GUN) async throws {
        let file = (self.file ?? self.input)?.expandingTilde
        guard file != nil || isatty(STDIN_FILENO) != 1 else {
            throw ValidationError("pipe the content in, or name its file")
        }
        let answer = try await self.trust.files.verify(
            gun,
            self.target ?? "",
            file.map { .file($0) } ?? .standardInput,
            to: self.destination
        )
        if self.output.output == .json {
            JSONOutput.write(TargetAnswer(gun, answer))
        } else {
            Notice.show(gun, answer)
        }
    }

    /// JSON is all that is on standard output.
    private var destination: ContentDestination {
        if let path = self.outputFile?.expandingTilde { return .file(path) }
        return self.quiet || self.output.output == .json ? .nowhere : .standardOutput
    }

    private func verify(directory: String) async throws {
        let result = try await self.trust.reader(of: directory).verify(checksContent: !self.metadataOnly)
        if self.output.output == .json {
            JSONOutput.write(
                Report(name: directory, roles: result.roles, files: result.files, absent: result.absent)
            )
            return
        }
        print("\(result.roles) metadata files and \(result.files) target files are right.")
        if !result.absent.isEmpty {
            print("\(result.absent.count) targets have no file here, the first: \(result.absent.prefix(5))")
        }
    }

    /// Every role, with what this machine trusted before; the files are for those who download them.
    private func verify(url: String) async throws {
        let count = try await self.remote.list(url, self.trust).count
        if self.output.output == .json {
            JSONOutput.write(Report(name: url, targets: count))
        } else {
            print("The metadata of \(count) targets is right.")
        }
    }

    private struct Report: Encodable {
        let name: String
        var roles: Int?
        var files: Int?
        var absent: [String]?
        var targets: Int?
    }
}
