// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import TUF
import TUFRepository

/// Where a target goes.
struct TargetOptions: ParsableArguments {
    @Option(
        name: [.customShort("r"), .customLong("roles")],
        help: ArgumentHelp(
            "The role that lists it. Default: the bin for its path where there are bins, else targets.",
            valueName: "role"
        )
    )
    var role: String?

    @Flag(name: [.customShort("p"), .long], help: "Publish at once.")
    var publish = false

    var roleName: RoleName? { self.role.map { RoleName($0) } }
}

/// What a publisher says of a target.
struct CustomOption: ParsableArguments {
    @Option(help: ArgumentHelp("A JSON file with what to say of the target.", valueName: "file"))
    var custom: String?

    func value() async throws -> JSONValue? {
        guard let path = self.custom?.expandingTilde else { return nil }
        guard let bytes = try await BlockingWork.run({ try DurableFile.read(path, limit: 1 << 20) }) else {
            throw CommandError(.failure, "there is no file \(path)")
        }
        let value = try JSONParser.parse(bytes)
        guard value.object != nil else { throw CommandError(.failure, "\(path) must hold a JSON object") }
        return value
    }
}

/// `hallmark add`
struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stage a file as a target for the next publish.",
        discussion: "Its content is copied at once: what happens to the file afterwards does not matter."
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("What readers ask for.", valueName: "target"))
    var path: String
    @Argument(help: ArgumentHelp("The content.", valueName: "file"))
    var file: String
    @OptionGroup var target: TargetOptions
    @OptionGroup var custom: CustomOption
    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "add")
        let repository = try await self.trust.repository(directory)
        let file = try await repository.add(
            self.path,
            file: self.file.expandingTilde,
            custom: try await self.custom.value(),
            role: self.target.roleName
        )
        let digest = Hexadecimal.encode(file.hashes.sha256 ?? [])
        print("Addition of target \"\(TerminalText.line(self.path))\" (\(file.length) bytes, sha256 \(digest)) staged.")
        if self.target.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}

/// `hallmark addhash`
struct AddHash: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "addhash",
        abstract: "Stage a target by its length and hashes, whose content is kept elsewhere."
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("What readers ask for.", valueName: "target"))
    var path: String
    @Argument(help: ArgumentHelp("The content's length in bytes.", valueName: "length"))
    var length: Int64
    @Option(help: ArgumentHelp("Its SHA-256, 64 digits.", valueName: "hex"))
    var sha256: String?
    @Option(help: ArgumentHelp("Its SHA-512, 128 digits.", valueName: "hex"))
    var sha512: String?
    @OptionGroup var target: TargetOptions
    @OptionGroup var custom: CustomOption
    @OptionGroup var trust: TrustOptions

    func validate() throws {
        guard self.length >= 0 else { throw ValidationError("a length is 0 or more") }
        guard !(try self.hashes.digests.isEmpty) else { throw ValidationError("give --sha256, --sha512 or both") }
    }

    private var hashes: Hashes {
        get throws {
            var digests: ByteOrderedMap<[UInt8]> = [:]
            for (name, text, count) in [("sha256", self.sha256, 32), ("sha512", self.sha512, 64)] {
                guard let text else { continue }
                guard let digest = Hexadecimal.decode(text), digest.count == count else {
                    throw ValidationError("--\(name) must be \(count * 2) hexadecimal digits")
                }
                digests[name] = digest
            }
            return Hashes(digests)
        }
    }

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "addhash")
        let repository = try await self.trust.repository(directory)
        let custom = try await self.custom.value()
        let file = TargetFile(length: self.length, hashes: try self.hashes, custom: custom)
        try await repository.stage([.addTarget(self.path, file, role: self.target.roleName)])
        print("Addition of target \"\(TerminalText.line(self.path))\" by hash staged.")
        if self.target.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}

/// `hallmark remove`
struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stage the removal of a target.",
        discussion: "Its file stays: readers of the metadata before may still want it."
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("The target's path.", valueName: "target"))
    var path: String
    @OptionGroup var target: TargetOptions
    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "remove")
        let repository = try await self.trust.repository(directory)
        try await repository.stage([.removeTarget(self.path, role: self.target.roleName)])
        print("Removal of \"\(TerminalText.line(self.path))\" staged.")
        if self.target.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}
