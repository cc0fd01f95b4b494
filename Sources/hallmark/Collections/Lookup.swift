// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI
import TUF
import TUFRepository
import TrustClient
import Updater

/// `hallmark lookup`
struct Lookup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say which content a name means: its hash and length, as they were signed.",
        discussion: "Exit code 11 when nobody who may has signed the name."
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

    @Argument(help: ArgumentHelp("The name.", valueName: "target"))
    var target: String

    @OptionGroup var remote: RemoteRepositoryOptions
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.collection.check(onlyDirectories: [("--root", self.remote.root != nil)])
    }

    func run() async throws {
        switch self.collection {
        case .gun(let gun):
            let answer = try await self.trust.files.lookup(gun, self.target)
            if self.output.output == .text { Notice.show(gun, answer) }
            self.write(TargetAnswer(gun, answer), answer.value.file)
        case .directory(let directory):
            let found = try await self.trust.reader(of: directory).find(self.target)
            self.write(TargetAnswer(directory, found.path, found.file, found.role), found.file)
        case .url(let url):
            let found = try await self.remote.find(self.target, in: url, self.trust)
            self.write(TargetAnswer(url, found.path.text, found.file, found.role), found.file)
        }
    }

    private func write(_ answer: TargetAnswer, _ file: TargetFile) {
        if self.output.output == .json {
            JSONOutput.write(answer)
            return
        }
        let known: [(String, [UInt8]?)] = [("sha256", file.hashes.sha256), ("sha512", file.hashes.sha512)]
        let digest = known.lazy.compactMap { name, bytes in bytes.map { "\(name):\(Hexadecimal.encode($0))" } }.first
        print(TerminalText.line("\(self.target) \(digest ?? "-") \(file.length)"))
    }
}

/// What one name means, as JSON.
struct TargetAnswer: Encodable {
    let name: String
    let target: TargetReport
    /// Nil for a repository of one's own.
    let trust: TrustReport?

    init(_ gun: GUN, _ answer: TrustedFiles.Answer<FoundTarget>) {
        self.name = gun.text
        self.target = TargetReport(answer.value.name, answer.value.file, answer.value.role)
        self.trust = TrustReport(answer)
    }

    init(_ name: String, _ path: String, _ file: TargetFile, _ role: RoleName) {
        self.name = name
        self.target = TargetReport(path, file, role)
        self.trust = nil
    }
}
