// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Ceremony
import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import NotaryAPI
import OCI
import TUF
import TUFRepository
import TrustClient

/// `hallmark sign`
struct Sign: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sign tags of images, or metadata that waits for signatures.",
        discussion: """
            IMAGES: REGISTRY/NAME:TAG, as many as you like. Each tag is signed as what it means in the registry now: its \
            manifest is fetched from there and hashed, without an engine. All tags of a repository are one publish. With \
            NAME:TAG@DIGEST the tag is signed as that; with --digest it must still be that, and if it has moved nothing is \
            signed, which ends with 15. Without --role the delegations are signed whose keys are here, and targets where \
            there are none.

            METADATA: one file named VERSION.ROLE.json of DIR/pending, or of tuf/GUN/pending in the trust directory, or a copy \
            of it that was handed to you. What it changes is shown first: against the repository's directory (--repository), \
            what this machine has read of the collection on a trust server (--collection), or a root that you trust \
            (--trusted). The first two are found by themselves where the file is in a folder named pending. A key that may not \
            sign, one that has signed, and a signature that is wrong are refused here. Without --yes no metadata is signed \
            unless you say so on a terminal.
            """
    )

    @Argument(
        help: ArgumentHelp(
            "REGISTRY/NAME:TAG[@DIGEST], or the file VERSION.ROLE.json of metadata.",
            valueName: "image or file"
        )
    )
    var subjects: [String]

    @Option(
        help: ArgumentHelp("Images: what the one tag must still mean.", valueName: "sha256:..."),
        transform: Digest.init(argument:)
    )
    var digest: Digest?

    @Option(
        name: [.customShort("r"), .customLong("role"), .customLong("roles")],
        parsing: .singleValue,
        help: ArgumentHelp("Images: sign as this role; may be repeated.", valueName: "role"),
        transform: RoleName.init(argument:)
    )
    var roles: [RoleName] = []

    @Option(help: ArgumentHelp("Images: a file of JSON to sign beside the tags.", valueName: "file"))
    var custom: String?

    @Option(
        help: ArgumentHelp(
            "Metadata: the repository that it is for: its directory, or a copy of the metadata.",
            valueName: "directory"
        )
    )
    var repository: String?

    @Option(
        help: ArgumentHelp("Metadata: the collection on a trust server that it is for.", valueName: "gun"),
        transform: GUN.init(argument:)
    )
    var collection: GUN?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Metadata: the root that you trust, in place of what is known. May be repeated, with the role that delegates to this one.",
            valueName: "file"
        )
    )
    var trusted: [String] = []

    @Option(
        name: .customLong("key"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "Metadata: sign with this key alone; may be repeated. Default: all that are at hand.",
            valueName: "id"
        ),
        completion: .keyIDs
    )
    var keys: [String] = []

    @Option(
        name: .customLong("merge"),
        parsing: .singleValue,
        help: ArgumentHelp(
            "Metadata: take the signatures of another copy, and sign nothing; may be repeated.",
            valueName: "copy"
        )
    )
    var copies: [String] = []

    @Flag(help: "Metadata: sign without asking.")
    var yes = false

    @Flag(help: "Metadata: only show what it changes, and who has signed.")
    var show = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    /// The file of metadata that is meant; nil for images.
    private var file: String? {
        guard let subject = self.subjects.first, self.subjects.count == 1 else { return nil }
        let isFile =
            VersionedName(subject.split(separator: "/").last.map(String.init) ?? "") != nil
            || (subject.hasSuffix(".json") && FileManager.default.fileExists(atPath: subject.expandingTilde))
        return isFile ? subject : nil
    }

    private var images: [ImageReference] {
        get throws { try self.subjects.map { try ImageReference(argument: $0) } }
    }

    func validate() throws {
        let isOfImages = self.digest != nil || !self.roles.isEmpty || self.custom != nil
        let isOfMetadata =
            self.repository != nil || self.collection != nil || !self.trusted.isEmpty || !self.keys.isEmpty
            || !self.copies.isEmpty || self.show
        guard self.file == nil else {
            guard !isOfImages else { throw ValidationError("--digest, --role and --custom are for images") }
            return
        }
        guard !isOfMetadata else {
            throw ValidationError(
                "--repository, --collection, --trusted, --key, --merge and --show are for metadata: name one file, VERSION.ROLE.json"
            )
        }
        let images = try self.images
        for image in images where image.tag == nil {
            throw ValidationError("\(image.familiarDescription) names no tag to sign: \(image.familiarName):TAG@DIGEST")
        }
        guard self.digest == nil || images.count == 1 else {
            throw ValidationError("--digest is what one tag must mean")
        }
        guard self.digest == nil || self.digest?.algorithm == .sha256 else {
            throw ValidationError("tags are signed with SHA-256 digests")
        }
    }

    func run() async throws {
        guard let file = self.file else {
            try await SignImages(
                images: try self.images,
                digest: self.digest,
                roles: self.roles,
                custom: try CustomData.read(self.custom),
                trust: self.trust,
                output: self.output
            ).run()
            return
        }
        try await self.sign(file.expandingTilde)
    }

    private func sign(_ path: String) async throws {
        let metadata = try await Self.read(path)
        guard
            let name = VersionedName(path.split(separator: "/").last.map(String.init) ?? ""), name.describes(metadata)
        else {
            throw CommandError(
                .failure,
                "\(path) must be named by what it holds, as VERSION.ROLE.json; it holds version "
                    + "\(metadata.version.map(String.init) ?? "unknown")"
            )
        }
        var (ceremony, trusted) = try await self.ceremony(metadata, name.role, path)
        if self.output.output == .text {
            print(TerminalText.lines(try MetadataChanges.lines(of: metadata, after: trusted).joined(separator: "\n")))
        }
        if !self.show { try await self.change(&ceremony, path) }
        if self.output.output == .json {
            JSONOutput.write(
                Report(
                    file: path,
                    changes: try MetadataChanges.lines(of: metadata, after: trusted),
                    signing: CeremonyReport(ceremony)
                )
            )
        } else {
            print("\n" + TerminalText.lines(CeremonyReport(ceremony).text))
        }
    }

    private func change(_ ceremony: inout SigningCeremony, _ path: String) async throws {
        if self.copies.isEmpty {
            let keys = try await self.signingKeys(for: ceremony)
            try await self.confirm(keys, ceremony.role)
            try await ceremony.sign(with: keys)
        } else {
            for copy in self.copies { try ceremony.merge(try await Self.read(copy.expandingTilde)) }
        }
        // Somebody may have signed the same file while this one was asked for a passphrase.
        try ceremony.absorb(try await Self.read(path))
        let bytes = ceremony.metadata.bytes
        try await BlockingWork.run { try DurableFile.replace(path, with: bytes, permissions: 0o644) }
    }

    private func ceremony(
        _ metadata: PendingMetadata,
        _ role: RoleName,
        _ path: String
    ) async throws -> (SigningCeremony, PendingMetadata?) {
        var given: [PendingMetadata] = []
        for trusted in self.trusted { given.append(try await Self.read(trusted.expandingTilde)) }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        if metadata.format == .notary, let gun = try self.collection ?? self.collection(of: folder) {
            let cache = MetadataCache(directory: try self.trust.settings.trustDirectory)
            let ceremonies = CollectionCeremonies(of: gun, in: cache)
            let found = try await ceremonies.ceremony(of: metadata, role: role, given: given)
            if role == .root, found.trusted == nil {
                Notice.write(
                    "No root of \(gun) is trusted here yet: compare the keys below with those that their holders told you"
                )
            }
            return found
        }
        if !given.isEmpty {
            let known = role == .root ? given.first { $0.type == "root" } : nil
            return (try .trusting(given, with: metadata, role: role), known)
        }
        let directory = self.repository?.expandingTilde ?? Self.repository(of: folder)
        guard let directory, metadata.format == .tuf else {
            throw ValidationError(
                metadata.format == .tuf
                    ? "say what it is for: --repository DIRECTORY, or --trusted with the root that you trust"
                    : "say what it is for: --collection GUN, or --trusted with the root that you trust"
            )
        }
        return try await self.trust.reader(of: directory).ceremony(of: metadata, role: role)
    }

    /// The collection whose `pending` directory this is.
    private func collection(of folder: URL) throws -> GUN? {
        let path = folder.resolvingSymlinksInPath().path
        let directory = URL(fileURLWithPath: try self.trust.settings.trustDirectory).resolvingSymlinksInPath().path
        let (start, end) = ("\(directory)/tuf/", "/\(PendingFolder.name)")
        guard path.hasPrefix(start), path.hasSuffix(end), path.count > start.count + end.count else { return nil }
        return try? GUN(String(path.dropFirst(start.count).dropLast(end.count)))
    }

    /// The repository whose `pending` directory this is.
    private static func repository(of folder: URL) -> String? {
        guard folder.lastPathComponent == PendingFolder.name else { return nil }
        let directory = folder.deletingLastPathComponent().path
        let isThere = FileManager.default.fileExists(atPath: "\(directory)/repository.json")
        return isThere ? directory : nil
    }

    private func signingKeys(for ceremony: SigningCeremony) async throws -> [any SigningKey] {
        let signed = Set(ceremony.metadata.signatures.map(\.keyID))
        let wanted = Set(self.keys.map { KeyID($0) })
        var keys = ceremony.keys
        if wanted.isEmpty {
            keys.removeAll { signed.contains($0.id) }
        } else {
            for id in wanted where !keys.contains(where: { $0.id == id }) {
                throw CeremonyError(.foreignKey, "key \(id) may not sign this \(ceremony.role)")
            }
            keys.removeAll { !wanted.contains($0.id) }
        }
        let found = try await self.trust.signingKeys().signingKeys(among: keys, for: ceremony.role)
        guard !found.isEmpty else {
            throw CeremonyError(
                signed.isEmpty ? .notFound : .alreadySigned,
                "no key in \(try self.trust.settings.trustDirectory)/private that may sign this \(ceremony.role) has not yet"
            )
        }
        return found
    }

    private func confirm(_ keys: [any SigningKey], _ role: RoleName) async throws {
        if self.yes { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw ValidationError("look at what changes, and say --yes to sign it")
        }
        let ids = keys.map { $0.publicKey.id.text }.joined(separator: ", ")
        try await StandardTerminal().write("\nSign this \(role) with \(ids)? (y/N) ")
        let answer = try await BlockingWork.wait { readLine() }
        guard answer?.lowercased() == "y" else { throw CommandError(.failure, "not signed") }
    }

    private static func read(_ path: String) async throws -> PendingMetadata {
        let bytes = try await BlockingWork.run { try DurableFile.read(path, limit: WireFormat.metadataLimit) }
        guard let bytes else { throw CommandError(.failure, "there is no file \(path)") }
        return try PendingMetadata(recognizing: bytes)
    }

    private struct Report: Encodable {
        let file: String
        let changes: [String]
        let signing: CeremonyReport
    }
}
