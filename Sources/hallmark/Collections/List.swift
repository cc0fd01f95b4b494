// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI
import TUF
import TUFRepository
import TrustClient
import Updater

/// `hallmark list`
struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the targets of a trusted collection of any files, or of a repository in a directory."
    )

    @Argument(
        help: ArgumentHelp(
            "The collection's globally unique name, a repository's directory (/…, ./…, ../…, file:…) or its URL.",
            valueName: "collection"
        ),
        completion: .collections,
        transform: CollectionArgument.init(argument:)
    )
    var collection: CollectionArgument

    @Option(
        name: [.customShort("r"), .customLong("roles")],
        parsing: .singleValue,
        help: ArgumentHelp(
            "Only what this role and (of a collection) those below it list: repeated, or with commas.",
            valueName: "role"
        ),
        completion: .roles
    )
    var roleLists: [String] = []

    private var roles: [String] { self.roleLists.flatMap { $0.split(separator: ",").map(String.init) } }

    @OptionGroup var remote: RemoteRepositoryOptions
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        switch self.collection {
        case .gun(let gun): try await self.list(gun)
        case .directory(let directory): try await self.list(directory: directory)
        case .url(let url): try await self.list(url: url)
        }
    }

    private func list(url: String) async throws {
        let found = try await self.remote.list(url, self.trust)
        let roles = Set(self.roles.map { RoleName($0) })
        let targets = found.filter { roles.isEmpty || roles.contains($0.role) }
            .map { ListedTarget(path: $0.path.text, file: $0.file, role: $0.role) }
        if self.output.output == .json {
            JSONOutput.write(Report(url, targets))
        } else {
            self.write(targets.map { ($0.path, $0.file, $0.role) })
        }
    }

    private func list(directory: String) async throws {
        let repository = try self.trust.reader(of: directory)
        let targets = try await repository.list(roles: self.roles.map { RoleName($0) })
        if self.output.output == .json {
            JSONOutput.write(Report(directory, targets))
            return
        }
        self.write(targets.map { ($0.path, $0.file, $0.role) })
    }

    private func list(_ gun: GUN) async throws {
        let roles = try self.roles.map { try RoleName(argument: $0) }
        let listing = try await self.trust.files.list(
            gun,
            roles: roles.isEmpty ? [.targets] : roles
        )
        if self.output.output == .json {
            JSONOutput.write(Report(gun, listing))
            return
        }
        Notice.show(gun, listing)
        self.write(listing.value.map { ($0.name, $0.file, $0.role) })
    }

    private func write(_ targets: [(name: String, file: TargetFile, role: RoleName)]) {
        guard !targets.isEmpty else {
            print("\nNo targets present in this repository.\n")
            return
        }
        let rows = targets.map { target in
            let digest = target.file.hashes.sha256.map { Hexadecimal.encode($0) } ?? "-"
            return [target.name, digest, String(target.file.length), target.role.text]
        }
        print("\n\(Table(["NAME", "DIGEST", "SIZE (BYTES)", "ROLE"], rows).text)\n")
    }

    private struct Report: Encodable {
        let name: String
        let targets: [TargetReport]
        /// Nil for a repository of one's own.
        let trust: TrustReport?

        init(_ directory: String, _ targets: [ListedTarget]) {
            self.name = directory
            self.targets = targets.map { TargetReport($0.path, $0.file, $0.role) }
            self.trust = nil
        }

        init(_ gun: GUN, _ listing: TrustedFiles.Answer<[FoundTarget]>) {
            self.name = gun.text
            self.targets = listing.value.map { TargetReport($0.name, $0.file, $0.role) }
            self.trust = TrustReport(listing)
        }
    }
}

/// A target, as JSON.
struct TargetReport: Encodable {
    let name: String
    let hashes: [String: String]
    let length: Int64
    let role: String
    /// What its publisher says of it; nil for nothing.
    let custom: CustomReport?

    init(_ name: String, _ file: TargetFile, _ role: RoleName) {
        self.name = name
        self.hashes = Dictionary(
            file.hashes.digests.map { ($0.key, Hexadecimal.encode($0.value)) },
            uniquingKeysWith: { first, _ in first }
        )
        self.length = file.length
        self.role = role.text
        self.custom = file.custom.map { CustomReport(value: $0) }
    }
}

/// A target's custom data, as it was signed.
struct CustomReport: Encodable {
    let value: JSONValue

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self.value {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let elements): try container.encode(elements.map { Self(value: $0) })
        case .object(let members):
            let reports = members.map { ($0.key, Self(value: $0.value)) }
            try container.encode(Dictionary(reports, uniquingKeysWith: { first, _ in first }))
        }
    }
}
