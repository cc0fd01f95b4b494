// SPDX-License-Identifier: Apache-2.0

import Foundation
package import TUF

/// The configuration file of the `notary` client, as it is (JSON).
///
/// Paths of certificates and keys are relative to the file, `trust_dir` to the working directory, as `notary` has them.
package struct NotaryClientConfiguration: Sendable, Hashable {
    /// Where keys and cached metadata are.
    package var trustDirectory: String?
    /// The trust server.
    package var serverURL: String?
    /// A PEM file with authorities to trust besides the system's.
    package var authorityFile: String?
    /// The client's certificate, PEM, for mutual TLS.
    package var certificateFile: String?
    /// The key of that certificate.
    package var privateKeyFile: String?
    /// Root certificates by collection name, or by a prefix that ends in `*`.
    package var pinnedKeyIDs: [String: [KeyID]] = [:]
    /// PEM files of CAs for the root certificates of collections whose names begin so.
    package var authorityFiles: [String: String] = [:]
    /// Whether a collection without a pin may be trusted on first use.
    package var allowsFirstUse = true

    private static let maximumSize = 4 << 20
    /// Members of the client's own settings that notary has none of.
    private static let foreign: Set<String> = [
        "servers", "registries", "mirrors", "aliases", "pins", "pin_bundles", "first_use", "max_age", "bundle_max_age",
        "proxy",
        "locked",
    ]

    /// Reads a file.
    /// - Throws: ``ContentTrustError`` with code `configuration` that names the file and the member that is wrong. A pin that this
    ///   version cannot keep is refused rather than left out.
    package init(path: String) throws {
        func refuse(_ reason: String) -> ContentTrustError { ContentTrustError(.configuration, "\(path): \(reason)") }
        guard let data = FileManager.default.contents(atPath: path) else { throw refuse("cannot be read") }
        guard data.count <= Self.maximumSize else { throw refuse("is larger than \(Self.maximumSize) bytes") }
        let root: JSONValue
        do {
            root = try JSONParser.parse(data)
        } catch {
            throw refuse("\(error)")
        }
        guard root.object != nil else { throw refuse("must be a JSON object") }
        // Our own settings, spelled as JSON, would be passed over: with all their pins.
        for name in (root.object ?? [:]).map(\.key).sorted() where Self.foreign.contains(name) {
            throw refuse(
                "\(name) is none of notary's settings: put hallmark's into a YAML file (not JSON, not named .json)"
            )
        }
        // A setting of another kind than expected must not count as none: it may be a pin.
        func section(_ parent: JSONValue?, _ name: String) throws -> JSONValue? {
            guard let value = parent?[name], value != .null else { return nil }
            guard value.object != nil else { throw refuse("\(name) must be an object") }
            return value
        }
        func flag(_ section: JSONValue?, _ name: String) throws -> Bool {
            guard let value = section?[name], value != .null else { return false }
            guard value == true || value == false else { throw refuse("\(name) must be true or false") }
            return value == true
        }
        func text(_ section: JSONValue?, _ name: String) throws -> String? {
            guard let value = section?[name], value != .null, value != "" else { return nil }
            guard let text = value.string else { throw refuse("\(name) must be a string") }
            return text
        }
        let server = try section(root, "remote_server")
        let pinning = try section(root, "trust_pinning")
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        func file(_ name: String) throws -> String? {
            try text(server, name).map {
                URL(fileURLWithPath: $0.expandingTilde, relativeTo: folder).path
            }
        }
        self.trustDirectory = try text(root, "trust_dir").map(\.expandingTilde)
        self.serverURL = try text(server, "url")
        self.authorityFile = try file("root_ca")
        self.certificateFile = try file("tls_client_cert")
        self.privateKeyFile = try file("tls_client_key")
        guard try !flag(server, "skipTLSVerify") else {
            throw refuse("skipTLSVerify is not supported: name the server's CA in root_ca")
        }
        // What is misspelled here would leave the door open without a word.
        for (name, _) in root.object ?? [:] where name != "trust_pinning" && name.lowercased() == "trust_pinning" {
            throw refuse("\(name) must be written trust_pinning")
        }
        for (name, _) in pinning?.object ?? [:] where !["certs", "ca", "disable_tofu"].contains(name) {
            throw refuse("trust_pinning has no member \(name); it may have certs, ca and disable_tofu")
        }
        for (prefix, file) in try section(pinning, "ca")?.object ?? [:] {
            guard let file = file.string, !file.isEmpty else {
                throw refuse("trust_pinning.ca must name a PEM file for \(prefix)")
            }
            // Notary takes the text as it is, so that one with a star fits no collection and all of them go without a pin.
            guard !prefix.contains("*") else {
                throw refuse(
                    "trust_pinning.ca takes the beginning of names: write \(prefix.prefix { $0 != "*" }) without *"
                )
            }
            self.authorityFiles[prefix] = file.expandingTilde
        }
        self.allowsFirstUse = try !flag(pinning, "disable_tofu")
        for (gun, ids) in try section(pinning, "certs")?.object ?? [:] {
            let values = ids.array ?? [ids]
            let texts = values.compactMap(\.string)
            guard !texts.isEmpty, texts.count == values.count else {
                throw refuse("trust_pinning.certs must list key ids for \(gun)")
            }
            self.pinnedKeyIDs[gun] = texts.map { KeyID($0) }
        }
    }

    /// What to accept as the first root of a collection: pins of exactly this name, else of the longest prefix.
    package func anchor(for gun: String) -> RootAnchor {
        if let ids = self.pinnedKeys(for: gun) { return .keyIDs(ids) }
        guard self.authorityFile(for: gun) == nil else { return .knownOnly }
        return self.allowsFirstUse ? .firstUse : .knownOnly
    }

    /// The ids of root certificates that a collection is pinned to; nil when it is pinned to none. Where there are some, no CA counts.
    package func pinnedKeys(for gun: String) -> Set<KeyID>? {
        if let ids = self.pinnedKeyIDs[gun] { return Set(ids) }
        let prefixes = self.pinnedKeyIDs.keys.filter { $0.hasSuffix("*") && gun.utf8.starts(with: $0.utf8.dropLast()) }
        let longest = prefixes.max { $0.utf8.count < $1.utf8.count }
        return longest.flatMap { self.pinnedKeyIDs[$0] }.map { Set($0) }
    }

    /// The PEM file of the CAs of a collection's root certificates, by the longest beginning of its name: relative to the working
    /// directory, as `notary` has it.
    package func authorityFile(for gun: String) -> String? {
        let prefixes = self.authorityFiles.keys.filter { gun.utf8.starts(with: $0.utf8) }
        return prefixes.max { $0.utf8.count < $1.utf8.count }.flatMap { self.authorityFiles[$0] }
    }
}
