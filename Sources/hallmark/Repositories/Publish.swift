// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import TUF
import TUFRepository

/// `hallmark publish`
struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish what is staged, or what waited for signatures and has them now.",
        discussion: """
            Everything is verified as a client would before a file is written. Exit code 12 when signatures are missing: the \
            files to be signed are in DIR/pending then, and nothing is published.
            """
    )

    @OptionGroup var repository: RepositoryArgument
    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "publish")
        let outcome = try await self.trust.repository(directory).publish()
        try PublishReport.write(outcome, directory: directory)
    }
}

/// `hallmark refresh`
struct Refresh: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sign the timestamp, the snapshot and bins again that are about to expire.",
        discussion: "Does nothing when nothing is due. Staged changes stay staged."
    )

    @OptionGroup var repository: RepositoryArgument

    @Option(
        help: ArgumentHelp("Go on, looking this often (30m, 12h …), until interrupted.", valueName: "time"),
        transform: TimeSpan.init(argument:)
    )
    var every: TimeSpan?

    @Flag(help: "Sign targets and delegated roles again too that are due, if their keys are at hand.")
    var all = false

    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "refresh")
        let repository = try await self.trust.repository(directory)
        guard let every = self.every else { return try await self.refresh(repository) }
        _ = try await Interruption.isEnding {
            while true {
                do {
                    try await self.refresh(repository)
                } catch let error as RepositoryError where error.code == .storage {
                    // A full disk may have room next time; what cannot be read or signed needs somebody.
                    Notice.write("\(error)")
                }
                try await Task.sleep(for: .seconds(every.seconds))
            }
        }
    }

    private func refresh(_ repository: StaticRepository) async throws {
        let outcome = try await repository.refresh(includingOthers: self.all)
        for (role, version) in outcome.published { print("Published \(role) version \(version)") }
        if outcome.published.isEmpty, self.every == nil { print("Nothing is due.") }
    }
}

/// `hallmark reset`
struct Reset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drop what is staged, and what waits for signatures."
    )

    @OptionGroup var repository: RepositoryArgument
    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "reset")
        try await self.trust.reader(of: directory).reset()
        print("Dropped all staged changes of \(directory).")
    }
}

/// `hallmark verify`
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a whole repository, in a directory or at a URL, as a client does.",
        discussion:
            "Every root in turn, the timestamp, the snapshot, every role, and every target's file that is there."
    )

    @OptionGroup var repository: RepositoryArgument
    @Flag(help: "Leave the targets' files out.")
    var metadataOnly = false
    @OptionGroup var remote: RemoteRepositoryOptions
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        if case .url(let url) = self.repository.collection { return try await self.verify(url) }
        let directory = try self.repository.collection.directory(for: "verify")
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
    private func verify(_ url: String) async throws {
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

/// `hallmark witness`
struct Witness: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stage the signing of roles again as they are, with a later expiry.",
        discussion: "The root and targets, whose keys are not where hallmark refresh runs, need it before they expire."
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("root, targets, snapshot, timestamp, or delegated roles.", valueName: "role"))
    var roles: [String]
    @Flag(name: [.customShort("p"), .long], help: "Publish at once.")
    var publish = false
    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "witness")
        let repository = try await self.trust.repository(directory)
        try await repository.stage(self.roles.map { .renew(RoleName($0)) })
        print("\(TerminalText.line(self.roles.joined(separator: ", "))) staged to be signed again.")
        if self.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}
