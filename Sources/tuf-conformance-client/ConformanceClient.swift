// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DurableFiles
import Foundation
import Updater

/// Speaks the command line protocol of TUF's conformance suite: options first, then one of three verbs. It ends with 0 or 1.
@main
struct ConformanceClient: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tuf-conformance-client",
        abstract: "Drives the updater as TUF's conformance suite asks.",
        discussion: "https://github.com/theupdateframework/tuf-conformance/blob/main/CLIENT-CLI.md"
    )

    enum Verb: String, ExpressibleByArgument, CaseIterable {
        /// Begins with a root file.
        case `init`
        /// Updates the metadata.
        case refresh
        /// Updates the metadata and fetches targets.
        case download
    }

    @Option(help: "Where trusted metadata is kept.")
    var metadataDir: String
    @Option(help: "The URL of the repository's metadata.")
    var metadataURL: String?
    @Option(help: "The path of a target; may be given several times.")
    var targetName: [String] = []
    @Option(help: "The URL of the repository's targets.")
    var targetBaseURL: String?
    @Option(help: "Where targets are put.")
    var targetDir: String?
    @Argument(help: "What to do: init, refresh or download.")
    var verb: Verb
    @Argument(help: "The root file to begin with (init).")
    var root: String?

    func run() async throws {
        do {
            switch self.verb {
            case .`init`: try self.initialise()
            case .refresh: try await self.update { _ in }
            case .download:
                let directory = try self.required(self.targetDir, "--target-dir")
                try await self.update { repository in
                    for name in self.targetName {
                        try await repository.download(try await repository.find(name), into: directory)
                    }
                }
            }
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(1)
        }
    }

    private func initialise() throws {
        let path = try self.required(self.root, "a root file")
        guard let root = try DurableFile.read(path, limit: 4 << 20) else {
            throw ValidationError("there is no \(path)")
        }
        try DurableFile.makeDirectory(self.metadataDir)
        try DurableFile.replace("\(self.metadataDir)/root.json", with: root)
    }

    private func update(_ body: (inout TrustedRepository) async throws -> Void) async throws {
        let metadata = try self.required(self.metadataURL, "--metadata-url")
        let server = try RepositoryServer(metadata: metadata, targets: self.targetBaseURL ?? metadata)
        try await HTTPTransport.with(server) { transport in
            let updater = Updater(transport: transport, directory: self.metadataDir, trustedRoot: nil)
            var repository = try await updater.refresh()
            try await body(&repository)
        }
    }

    private func required(_ value: String?, _ name: String) throws -> String {
        guard let value else { throw ValidationError("\(name) is required") }
        return value
    }
}
