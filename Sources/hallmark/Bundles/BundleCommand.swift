// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import NotaryAPI
import OCI
import TUF
import TrustClient

/// `hallmark bundle`
struct BundleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Carry collections and their images to where no server is reached.",
        discussion: """
            A bundle is one tar file: all metadata that is needed to verify from the root, never keys, and an OCI image layout.
            """,
        subcommands: [BundleExport.self, BundleImport.self, BundleShow.self]
    )
}

/// `hallmark bundle export`
struct BundleExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write collections, and the content of images, into a file.",
        discussion:
            "Of a name with a tag the image goes in with all its platforms, of a name without one the trust data alone."
    )

    @Argument(help: ArgumentHelp("The bundle's file.", valueName: "file"))
    var file: String

    @Argument(help: ArgumentHelp("A collection, or an image with its tag; may be repeated.", valueName: "name"))
    var names: [String]

    @Flag(help: "Of names without a tag, take every tag that is signed.")
    var allTags = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let items = try usage { try self.names.map { try BundleItem($0) } }
        let images = try self.trust.images
        let path = self.file.expandingTilde
        let progress = ProgressDisplay(isEnabled: self.output.output == .text)
        let allTags = self.allTags
        let exported = try await progress.showing { report in
            try await Interruption.guarding {
                try await images.exportBundle(path, items, allTags: allTags, progress: report)
            }
        }
        for warning in exported.warnings { Notice.write("Warning: \(warning)") }
        let report = BundleReport(exported.contents, path: path, size: exported.size)
        if self.output.output == .json {
            JSONOutput.write(report)
        } else {
            print(TerminalText.line("Exported \(report.summary) into \(path)"))
        }
    }
}

/// `hallmark bundle import`
struct BundleImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Verify a bundle as if it came from the server, then use it.",
        discussion: """
            Pins, known roots, expiry and the versions seen here count as always. Only when all metadata and content are as they \
            were signed is anything kept: content where --to or --push says, metadata in the trust directory, so that lookup, \
            inspect and pull go on from it without a server.
            """
    )

    @Argument(help: ArgumentHelp("The bundle's file.", valueName: "file"))
    var file: String

    @Option(help: ArgumentHelp("Add the images to this OCI image layout.", valueName: "dir"))
    var to: String?

    @Option(help: ArgumentHelp("Push the images to this registry, under their tags.", valueName: "registry"))
    var push: String?

    @Option(
        help: ArgumentHelp(
            "Refuse a bundle that was exported longer ago, as 14d. Default: bundle_max_age of the settings.",
            valueName: "time"
        ),
        transform: TimeSpan.init(argument:)
    )
    var maxAge: TimeSpan?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.to == nil || self.push == nil else { throw ValidationError("name --to or --push, not both") }
        if let registry = self.push,
            (try? ImageReference("\(registry)/a").registry) != registry.split(separator: "/").first.map(String.init)
        {
            throw ValidationError("\(registry) is no registry: write HOST[:PORT] or HOST[:PORT]/PREFIX")
        }
    }

    func run() async throws {
        let settings = try self.trust.settings
        let images = try self.trust.images
        let path = self.file.expandingTilde
        let bundle = try await BlockingWork.wait { try OfflineBundle(path: path) }
        let destination: BundleDestination =
            if let directory = self.to?.expandingTilde { .layout(directory) } else if let registry = self.push {
                .registry(registry)
            } else { .trustOnly }
        // The user's settings may be stricter than the option, not looser.
        let maximumAge = [self.maxAge?.seconds, settings.maximumBundleAge].compactMap { $0 }.min()
        let progress = ProgressDisplay(isEnabled: self.output.output == .text)
        let imported = try await progress.showing { report in
            try await Interruption.guarding {
                try await images.importBundle(bundle, to: destination, maximumAge: maximumAge, progress: report)
            }
        }
        let age = Int64(max(0, images.age(of: bundle)))
        if self.output.output == .json {
            JSONOutput.write(ImportReport(path: path, bundle.contents.exported.text, age, imported))
            return
        }
        Notice.write("Exported \(Age.text(age)) ago, on \(bundle.contents.exported), as the bundle says")
        for collection in imported {
            Notice.show(gun: collection.gun.text, firstUse: collection.firstUse, warnings: collection.warnings)
            let timestamp = collection.freshness.map { ", timestamp \($0.version), in force until \($0.expires)" } ?? ""
            print(TerminalText.line("Imported \(collection.gun): root \(collection.rootVersion)\(timestamp)"))
            for (image, place) in collection.images {
                let name = "\(image.reference.familiarDescription)@\(image.digest)"
                print(TerminalText.line("  \(name)" + (place.map { " into \($0)" } ?? "")))
            }
        }
    }

    private struct ImportReport: Encodable {
        struct Collection: Encodable {
            struct Image: Encodable {
                let name: String
                let digest: String
                let destination: String?
            }

            let name: String
            let rootVersion: Int64
            let images: [Image]
            let trust: TrustReport
        }

        let bundle: String
        let exported: String
        let age: Int64
        let collections: [Collection]

        init(path: String, _ exported: String, _ age: Int64, _ imported: [ImportedCollection]) {
            self.bundle = path
            self.exported = exported
            self.age = age
            self.collections = imported.map { collection in
                Collection(
                    name: collection.gun.text,
                    rootVersion: collection.rootVersion,
                    images: collection.images.map {
                        Collection.Image(
                            name: $0.image.reference.description,
                            digest: $0.image.digest.description,
                            destination: $0.place
                        )
                    },
                    trust: TrustReport(
                        firstUse: collection.firstUse,
                        freshness: collection.freshness,
                        warnings: collection.warnings
                    )
                )
            }
        }
    }
}

/// `hallmark bundle show`
struct BundleShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print what a bundle says that it holds. Nothing of it is verified: import does that."
    )

    @Argument(help: ArgumentHelp("The bundle's file.", valueName: "file"))
    var file: String

    @OptionGroup var output: OutputOptions

    func run() async throws {
        let path = self.file.expandingTilde
        let (bundle, size) = try await BlockingWork.wait {
            (try OfflineBundle(path: path), try FileStatus(path: path)?.size ?? 0)
        }
        var report = BundleReport(bundle.contents, path: path, size: size)
        for index in report.collections.indices {
            let timestamp = try await BlockingWork.wait { try bundle.claimedTimestamp(index) }
            report.collections[index].timestampVersion = timestamp?.version
            report.collections[index].expires = timestamp?.expires
        }
        if self.output.output == .json {
            JSONOutput.write(report)
        } else {
            print(TerminalText.lines(report.text), terminator: "")
        }
    }
}

/// What is in a bundle.
struct BundleReport: Encodable {
    struct Collection: Encodable {
        struct Image: Encodable {
            let name: String
            let digest: String
            let size: Int64
        }

        let name: String
        let rootVersions: [Int64]
        let roles: [String]
        let images: [Image]
        var timestampVersion: Int64?
        var expires: String?
    }

    let bundle: String
    let size: Int64
    let exported: String
    var collections: [Collection]

    init(_ contents: BundleContents, path: String, size: Int64) {
        self.bundle = path
        self.size = size
        self.exported = contents.exported.text
        self.collections = contents.collections.map { collection in
            Collection(
                name: collection.gun.text,
                rootVersions: collection.roots,
                roles: collection.roles.map(\.text),
                images: collection.images.map {
                    Collection.Image(name: $0.reference.description, digest: $0.digest.description, size: $0.size)
                }
            )
        }
    }

    /// `2 collections with 3 images`
    var summary: String {
        let images = self.collections.reduce(0) { $0 + $1.images.count }
        let collections = "\(self.collections.count) collection" + (self.collections.count == 1 ? "" : "s")
        return "\(collections) with \(images) image" + (images == 1 ? "" : "s")
    }

    /// For people.
    var text: String {
        var lines = ["\(self.bundle): \(self.summary), exported on \(self.exported)"]
        for collection in self.collections {
            let roots = [collection.rootVersions.first, collection.rootVersions.last].compactMap { $0.map(String.init) }
            let timestamp = collection.timestampVersion.map { ", timestamp \($0)" } ?? ""
            let expires = collection.expires.map { " until \($0)" } ?? ""
            lines.append("\(collection.name): root \(roots.joined(separator: " to "))\(timestamp)\(expires)")
            lines += collection.images.map { "  \($0.name)@\($0.digest)" }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
