// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// Where a target goes.
struct TargetOptions: ParsableArguments {
    @Option(
        name: [.customShort("r"), .customLong("roles")],
        parsing: .singleValue,
        help: ArgumentHelp(
            "The role that lists it. Default: in a directory the bin for its path where there are bins, else targets. On a trust "
                + "server there may be several: repeated, or with commas.",
            valueName: "role"
        ),
        completion: .roles
    )
    var roles: [String] = []

    @Flag(name: [.customShort("p"), .long], help: "Publish at once, with all that is staged.")
    var publish = false

    /// The role in a directory.
    var role: RoleName? { self.roles.first.map { RoleName($0) } }

    /// The roles on a trust server.
    var serverRoles: [RoleName] {
        get throws {
            let names = self.roles.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
            return names.isEmpty ? [.targets] : try names.map { try RoleName(argument: String($0)) }
        }
    }

    func check(_ collection: CollectionArgument) throws {
        if collection.isGUN {
            _ = try self.serverRoles
        } else if self.roles.count > 1 {
            throw ValidationError("in a repository in a directory one role lists a target: give one --roles")
        }
    }
}

/// What a publisher says of a target.
struct CustomOption: ParsableArguments {
    @Option(help: ArgumentHelp("A JSON file with what to say of the target.", valueName: "file"))
    var custom: String?

    /// - Parameter objectOnly: whether it must be an object, as TUF wants it.
    func value(objectOnly: Bool) async throws -> JSONValue? {
        guard let path = self.custom?.expandingTilde else { return nil }
        guard let bytes = try await BlockingWork.run({ try DurableFile.read(path, limit: 1 << 20) }) else {
            throw CommandError(.failure, "there is no file \(path)")
        }
        let value: JSONValue
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw CommandError(.failure, "\(path) cannot be custom data: \(error)")
        }
        guard !objectOnly || value.object != nil else {
            throw CommandError(.failure, "\(path) must hold a JSON object")
        }
        return value
    }
}

/// `hallmark add`
struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stage a file as a target for the next publish.",
        discussion: """
            Of a collection on a trust server its length and hashes are signed, and the file is kept elsewhere. Into a \
            repository in a directory its content is copied at once: what happens to the file afterwards does not matter.
            """
    )

    @OptionGroup var operand: CollectionOperand
    @Argument(help: ArgumentHelp("What readers ask for.", valueName: "target"))
    var path: String
    @Argument(help: ArgumentHelp("The content.", valueName: "file"), completion: .file())
    var file: String
    @OptionGroup var target: TargetOptions
    @OptionGroup var custom: CustomOption
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { try self.target.check(self.operand.collection) }

    func run() async throws {
        switch try self.operand.collection.changeable(by: "add") {
        case .gun(let gun): try await self.add(to: gun)
        case .directory(let directory): try await self.add(to: directory)
        }
    }

    private func add(to gun: GUN) async throws {
        let custom = try await self.custom.value(objectOnly: false)
        let file = try await TargetFile(contentOf: .file(self.file.expandingTilde), custom: custom)
        try await self.trust.managed(gun).stage(
            try self.target.serverRoles.map { .add(self.path, file, to: $0) },
            "Addition of target \"\(self.path)\" to repository \"\(gun)\"",
            publishing: self.target.publish,
            self.output
        )
    }

    private func add(to directory: String) async throws {
        let repository = try await self.trust.repository(directory)
        let file = try await repository.add(
            self.path,
            file: self.file.expandingTilde,
            custom: try await self.custom.value(objectOnly: true),
            role: self.target.role
        )
        let digest = Hexadecimal.encode(file.hashes.sha256 ?? [])
        var report = ChangeReport(directory, self.output)
        report.add(staged: [StagedChange.addTarget(self.path, file, role: self.target.role)])
        report.say("Addition of target \"\(self.path)\" (\(file.length) bytes, sha256 \(digest)) staged.")
        try await repository.finish(&report, publishing: self.target.publish)
    }
}

/// `hallmark addhash`
struct AddHash: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "addhash",
        abstract: "Stage a target by its length and hashes, whose content is kept elsewhere."
    )

    @OptionGroup var operand: CollectionOperand
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
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.length >= 0 else { throw ValidationError("a length is 0 or more") }
        guard !(try self.hashes.digests.isEmpty) else { throw ValidationError("give --sha256, --sha512 or both") }
        try self.target.check(self.operand.collection)
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
        switch try self.operand.collection.changeable(by: "addhash") {
        case .gun(let gun):
            let file = try await self.targetFile(objectOnly: false)
            let algorithms = file.hashes.digests.map(\.key).joined(separator: " and ")
            try await self.trust.managed(gun).stage(
                try self.target.serverRoles.map { .add(self.path, file, to: $0) },
                "Addition of target \"\(self.path)\" by \(algorithms) hash to repository \"\(gun)\"",
                publishing: self.target.publish,
                self.output
            )
        case .directory(let directory):
            let repository = try await self.trust.repository(directory)
            let file = try await self.targetFile(objectOnly: true)
            try await repository.stage(
                [.addTarget(self.path, file, role: self.target.role)],
                "Addition of target \"\(self.path)\" by hash staged.",
                publishing: self.target.publish,
                self.output
            )
        }
    }

    private func targetFile(objectOnly: Bool) async throws -> TargetFile {
        TargetFile(
            length: self.length,
            hashes: try self.hashes,
            custom: try await self.custom.value(objectOnly: objectOnly)
        )
    }
}

/// `hallmark remove`
struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stage the removal of a target.",
        discussion: "Its file stays: readers of the metadata before may still want it."
    )

    @OptionGroup var operand: CollectionOperand
    @Argument(help: ArgumentHelp("The target's path.", valueName: "target"))
    var path: String
    @OptionGroup var target: TargetOptions
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { try self.target.check(self.operand.collection) }

    func run() async throws {
        switch try self.operand.collection.changeable(by: "remove") {
        case .gun(let gun):
            try await self.trust.managed(gun).stage(
                try self.target.serverRoles.map { .remove(self.path, from: $0) },
                "Removal of \(self.path) from \(gun)",
                publishing: self.target.publish,
                self.output
            )
        case .directory(let directory):
            try await self.trust.repository(directory).stage(
                [.removeTarget(self.path, role: self.target.role)],
                "Removal of \"\(self.path)\" staged.",
                publishing: self.target.publish,
                self.output
            )
        }
    }
}
