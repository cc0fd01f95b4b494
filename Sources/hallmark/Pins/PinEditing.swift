// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import NotaryAPI
import TUF
import TrustClient

/// `hallmark pin create`
struct PinCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Begin a bundle, without pins and unsigned."
    )

    @OptionGroup var file: PinFileArgument

    @Option(help: ArgumentHelp("What tells it from others: versions are counted for each name.", valueName: "name"))
    var name = "pins"

    @Option(
        help: ArgumentHelp("For how long it may be used, as 90d or 12h. Default: 90d.", valueName: "time"),
        transform: TimeSpan.init(argument:)
    )
    var expires: TimeSpan?

    @Flag(help: "Refuse collections that are neither known nor pinned.")
    var refuseFirstUse = false

    @OptionGroup var output: OutputOptions

    func run() async throws {
        let path = self.file.path
        guard !FileManager.default.fileExists(atPath: path) else {
            throw CommandError(.failure, "\(path) is there already: pin add and pin renew change it")
        }
        let seconds = self.expires?.seconds ?? 90 * 86400
        let bundle = try usage {
            try PinBundle(
                name: self.name,
                expires: Expiry(Date().addingTimeInterval(Double(seconds))),
                refusesFirstUse: self.refuseFirstUse
            )
        }
        try await self.file.write(try PinBundleFile(bundle))
        PinBundleReport(bundle, signers: [], path: path).write(self.output)
    }
}

/// `hallmark pin add`
struct PinAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Pin a collection, or all whose names begin alike, to root keys or to a CA.",
        discussion: """
            Without keys those are taken that this machine trusts for the collection. Where it does not know the collection, the \
            trust server is asked, and you are shown the keys to compare with what the publisher told you. A signed version stays \
            what it is: the change makes the next one, to be signed again.
            """
    )

    @OptionGroup var file: PinFileArgument

    @Argument(help: ArgumentHelp("The collection's name, or a prefix that ends in *.", valueName: "gun"))
    var match: String

    @Argument(help: ArgumentHelp("Ids of root certificates.", valueName: "key-id"))
    var keys: [String] = []

    @Option(help: ArgumentHelp("Accept root certificates that lead to this CA, PEM.", valueName: "file"))
    var ca: String?

    @Flag(name: .shortAndLong, help: "Take the keys that the trust server names without asking.")
    var yes = false

    @OptionGroup var expiry: PinExpiryOption
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.ca == nil || self.keys.isEmpty else { throw ValidationError("name keys or --ca, not both") }
        if let refusal = NameRules<String>.refusal(of: self.match) {
            throw ValidationError("\(self.match): \(refusal)")
        }
        for key in self.keys
        where key.utf8.count != 64 || !key.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) {
            throw ValidationError("\(key) is no key id: 64 hexadecimal digits in lower case")
        }
        guard !self.match.hasSuffix("*") || self.ca != nil || !self.keys.isEmpty else {
            throw ValidationError("\(self.match) is no single collection: name the keys, or --ca")
        }
    }

    func run() async throws {
        let anchor = try await self.anchor()
        let bundle = try await self.file.change { bundle in
            bundle.pins.removeAll { $0.match.utf8.elementsEqual(self.match.utf8) }
            bundle.pins.append(PinBundle.Pin(match: self.match, anchor: anchor))
            self.expiry.apply(to: &bundle)
        }
        PinBundleReport(bundle, signers: [], path: self.file.path).write(self.output)
    }

    private func anchor() async throws -> RootPin.Anchor {
        if let file = self.ca?.expandingTilde {
            guard let pem = try await BlockingWork.run({ try DurableFile.read(file, limit: 1 << 20) }) else {
                throw CommandError(.failure, "there is no file \(file) with a CA")
            }
            return .authorities(try CertificateAuthorities(pem: pem))
        }
        guard self.keys.isEmpty else { return .keyIDs(Set(self.keys.map { KeyID($0) })) }
        let gun = try GUN(argument: self.match)
        let roots = PinnableRoot(settings: try self.trust.settings)
        if let known = try await roots.known(gun) { return .keyIDs(Set(known)) }
        let offered = try await roots.offered(gun)
        let ids = offered.map(\.text).joined(separator: ", ")
        if !self.yes {
            try await Confirmation.require(
                "The trust server names the root keys \(ids) for \(gun). Are they those that its publisher told you?",
                "\(gun) is not known on this machine. Its trust server names the root keys \(ids): compare them with what the "
                    + "publisher told you, and name them here",
                otherwise: "nothing is pinned"
            )
        }
        return .keyIDs(Set(offered))
    }
}

/// `hallmark pin remove`
struct PinRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove a pin from a bundle.")

    @OptionGroup var file: PinFileArgument

    @Argument(help: ArgumentHelp("The name or prefix, as it stands in the bundle.", valueName: "gun"))
    var match: String

    @OptionGroup var expiry: PinExpiryOption
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let bundle = try await self.file.change { bundle in
            let count = bundle.pins.count
            bundle.pins.removeAll { $0.match.utf8.elementsEqual(self.match.utf8) }
            guard bundle.pins.count < count else {
                throw CommandError(.failure, "\(self.file.path) has no pin of \(self.match)")
            }
            self.expiry.apply(to: &bundle)
        }
        PinBundleReport(bundle, signers: [], path: self.file.path).write(self.output)
    }
}

/// `hallmark pin renew`
struct PinRenew: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Give a bundle another expiry, or another rule for first use, as its next version."
    )

    @OptionGroup var file: PinFileArgument
    @OptionGroup var expiry: PinExpiryOption

    @Flag(inversion: .prefixedNo, help: "Refuse collections that are neither known nor pinned.")
    var refuseFirstUse: Bool?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.expiry.expires != nil || self.refuseFirstUse != nil else {
            throw ValidationError("name --expires, --refuse-first-use or --no-refuse-first-use")
        }
    }

    func run() async throws {
        let bundle = try await self.file.change { bundle in
            self.expiry.apply(to: &bundle)
            if let refuses = self.refuseFirstUse { bundle.refusesFirstUse = refuses }
        }
        PinBundleReport(bundle, signers: [], path: self.file.path).write(self.output)
    }
}
