// SPDX-License-Identifier: Apache-2.0

import Foundation
import NotaryAPI
import OCI
import Settings
import TUF
import Yams

extension ClientConfiguration {
    /// Reads a file.
    /// - Throws: ``ContentTrustError`` with code `configuration` that names file and line.
    package init(path: String) throws {
        let document: YAMLDocument
        do {
            document = try YAMLDocument(path: path)
        } catch {
            throw ContentTrustError(.configuration, "\(error)")
        }
        self.init(empty: path)
        guard let root = document.root, !root.isNothing else { return }
        let reader = ClientConfigurationReader(path: path)
        try reader.read(root, into: &self)
    }
}

/// Reads the members of a client's settings.
private struct ClientConfigurationReader {
    let path: String

    private typealias Member = (name: String, key: Node, value: Node)

    func read(_ root: Node, into result: inout ClientConfiguration) throws {
        let known = [
            "trust_dir", "servers", "registries", "mirrors", "aliases", "pins", "pin_bundles", "first_use", "max_age",
            "bundle_max_age", "proxy", "locked",
        ]
        for member in try self.members(root, of: nil, known) {
            let origin = self.origin(member.key)
            switch member.name {
            case "trust_dir": result.trustDirectory = .init(value: try self.text(member).expandingTilde, origin: origin)
            case "servers": for entry in try self.named(member) { try self.readServer(entry, into: &result) }
            case "registries": for entry in try self.members(member) { try self.readRegistry(entry, into: &result) }
            case "mirrors": for entry in try self.named(member) { try self.readMirrors(entry, into: &result) }
            case "aliases": for entry in try self.members(member) { try self.readAlias(entry, into: &result) }
            case "pins": for entry in try self.named(member) { try self.readPin(entry, into: &result) }
            case "pin_bundles": result.pinBundles = .init(value: try self.pinBundles(member), origin: origin)
            case "first_use": result.allowsFirstUse = .init(value: try self.firstUse(member), origin: origin)
            case "max_age": result.maximumAge = .init(value: try self.seconds(member), origin: origin)
            case "bundle_max_age": result.maximumBundleAge = .init(value: try self.seconds(member), origin: origin)
            case "proxy": result.proxies = .init(value: try self.proxies(member), origin: origin)
            default: result.isLocked = .init(value: try self.flag(member), origin: origin)
            }
        }
    }

    // MARK: Sections

    private func readServer(_ entry: Member, into result: inout ClientConfiguration) throws {
        var server = ClientConfiguration.Server()
        if case .scalar = entry.value {
            server.url = try self.text(entry)
        } else {
            for member in try self.members(
                entry.value,
                of: entry.name,
                ["url", "ca", "certificate", "key", "credentials"]
            ) {
                switch member.name {
                case "url": server.url = try self.text(member)
                case "ca": server.authorityFile = try self.file(member)
                case "certificate": server.certificateFile = try self.file(member)
                case "key": server.privateKeyFile = try self.file(member)
                default:
                    let text = try self.text(member)
                    server.credentials = text == "none" ? .anonymous : .loginOf(text)
                }
            }
        }
        guard server.url.hasPrefix("https://") else {
            throw self.refuse(
                entry.key,
                "\(entry.name) needs the https URL of its trust server (url: https://HOST:PORT)"
            )
        }
        guard (server.certificateFile == nil) == (server.privateKeyFile == nil) else {
            throw self.refuse(entry.key, "\(entry.name) has a certificate or a key; mutual TLS needs both")
        }
        result.servers.add(entry.name, server, origin: self.origin(entry.key))
    }

    private func readRegistry(_ entry: Member, into result: inout ClientConfiguration) throws {
        var registry = ClientConfiguration.Registry()
        for member in try self.members(entry.value, of: entry.name, ["plain_http", "ca"]) {
            switch member.name {
            case "plain_http": registry.isPlainHTTP = try self.flag(member)
            default: registry.authorityFile = try self.file(member)
            }
        }
        guard (try? ImageReference("\(entry.name)/a").registry) == entry.name else {
            throw self.refuse(entry.key, "\(entry.name) is no registry: write HOST or HOST:PORT")
        }
        result.registries[entry.name] = .init(value: registry, origin: self.origin(entry.key))
    }

    private func readMirrors(_ entry: Member, into result: inout ClientConfiguration) throws {
        let places = try self.texts(entry)
        for place in places where ContentPlace(mirror: place, of: nil) == nil {
            throw self.refuse(entry.value, "\(place) is no mirror: write HOST[:PORT] or HOST[:PORT]/PREFIX")
        }
        result.mirrors.add(entry.name, places, origin: self.origin(entry.key))
    }

    private func readAlias(_ entry: Member, into result: inout ClientConfiguration) throws {
        var content: String?
        var gun: String?
        if case .scalar = entry.value {
            content = try self.text(entry)
        } else {
            for member in try self.members(entry.value, of: entry.name, ["content", "gun"]) {
                if member.name == "content" { content = try self.text(member) } else { gun = try self.text(member) }
            }
        }
        guard let content, let reference = try? ImageReference(content), reference.gun == content else {
            throw self.refuse(
                entry.key,
                "\(entry.name) needs its content's whole name, as mirror.example/library/alpine"
            )
        }
        if let gun, (try? GUN(gun)) == nil { throw self.refuse(entry.key, "\(gun) is not the name of a collection") }
        guard let name = try? ImageReference(entry.name), name.digest == nil,
            !entry.name.contains(":") || name.tag == .latest
        else { throw self.refuse(entry.key, "\(entry.name) is not an image's name without tag") }
        result.aliases[name.gun] = .init(
            value: ClientConfiguration.Alias(content: content, gun: gun),
            origin: self.origin(entry.key)
        )
    }

    private func readPin(_ entry: Member, into result: inout ClientConfiguration) throws {
        var pin: ClientConfiguration.Pin?
        if case .mapping = entry.value {
            let members = try self.members(entry.value, of: entry.name, ["keys", "ca"])
            guard members.count == 1 else { throw self.refuse(entry.key, "\(entry.name) needs either keys or ca") }
            for member in members {
                pin = member.name == "ca" ? .authorityFile(try self.file(member)) : try self.keyIDs(member)
            }
        } else {
            pin = try self.keyIDs(entry)
        }
        guard let pin else { throw self.refuse(entry.key, "\(entry.name) needs either keys or ca") }
        result.pins.add(entry.name, pin, origin: self.origin(entry.key))
    }

    private func keyIDs(_ member: Member) throws -> ClientConfiguration.Pin {
        let ids = try self.texts(member)
        for id in ids where !KeyID(id).isWellFormed {
            throw self.refuse(member.value, "\(id.prefix(80)) is no key id: 64 hexadecimal digits in lower case")
        }
        return .keyIDs(ids.map { KeyID($0) })
    }

    private func pinBundles(_ section: Member) throws -> ClientConfiguration.PinBundles {
        var bundles = ClientConfiguration.PinBundles()
        for member in try self.members(section.value, of: section.name, ["keys", "threshold", "files"]) {
            switch member.name {
            case "keys": bundles.keyFiles = try self.texts(member).map(self.resolve)
            case "files": bundles.files = try self.texts(member).map(self.resolve)
            default:
                guard let count = Int(try self.text(member)), (1...64).contains(count) else {
                    throw self.refuse(member.value, "threshold must be a number from 1 to 64")
                }
                bundles.threshold = count
            }
        }
        guard bundles.keyFiles.count >= bundles.threshold else {
            throw self.refuse(
                section.key,
                "pin_bundles asks for \(bundles.threshold) signatures of \(bundles.keyFiles.count) keys: name more in keys"
            )
        }
        return bundles
    }

    private func firstUse(_ member: Member) throws -> Bool {
        let text = try self.text(member)
        guard text == "allowed" || text == "refused" else {
            throw self.refuse(member.value, "first_use must be allowed or refused, not \(text.prefix(80))")
        }
        return text == "allowed"
    }

    private func proxies(_ section: Member) throws -> ClientConfiguration.Proxies {
        var proxies = ClientConfiguration.Proxies()
        for member in try self.members(section.value, of: section.name, ["https", "http", "exempt"]) {
            switch member.name {
            case "https": proxies.https = try self.text(member)
            case "http": proxies.http = try self.text(member)
            default: proxies.exempt = try self.texts(member)
            }
        }
        return proxies
    }

    // MARK: Values

    /// The members of a section, of which those must be known.
    private func members(_ node: Node, of name: String?, _ known: [String]) throws -> [Member] {
        let what = name ?? "a file of settings"
        guard case .mapping(let mapping) = node else {
            throw self.refuse(
                node,
                "\(what) must have one or more of \(known.joined(separator: ", ")), found \(node.found)"
            )
        }
        return try self.members(mapping).map { member in
            guard known.contains(member.name) else {
                throw self.refuse(
                    member.key,
                    "\(what) has no member \(member.name.prefix(80)); it may have \(known.joined(separator: ", "))"
                )
            }
            guard !member.value.isNothing else { throw self.refuse(member.key, "\(member.name) has no value") }
            return member
        }
    }

    /// The members of a section of names.
    private func members(_ section: Member) throws -> [Member] {
        guard case .mapping(let mapping) = section.value else {
            throw self.refuse(section.value, "\(section.name) must map names, found \(section.value.found)")
        }
        return try self.members(mapping)
    }

    /// The members of a section of names and prefixes of collections.
    private func named(_ section: Member) throws -> [Member] {
        try self.members(section).map { member in
            if let refusal = NameRules<String>.refusal(of: member.name) {
                throw self.refuse(member.key, "\(member.name.prefix(80)): \(refusal)")
            }
            return member
        }
    }

    private func members(_ mapping: Node.Mapping) throws -> [Member] {
        try mapping.map { key, value in
            guard case .scalar(let scalar) = key else { throw self.refuse(key, "found \(key.found), expected a name") }
            return (scalar.string, key, value)
        }
    }

    private func text(_ member: Member) throws -> String {
        guard case .scalar(let scalar) = member.value, !scalar.string.isEmpty, scalar.string.utf8.count <= 4096 else {
            throw self.refuse(member.value, "\(member.name) must be text, found \(member.value.found)")
        }
        return scalar.string
    }

    /// One text, or a list of some.
    private func texts(_ member: Member) throws -> [String] {
        guard case .sequence(let sequence) = member.value else { return [try self.text(member)] }
        guard !sequence.isEmpty else { throw self.refuse(member.value, "\(member.name) is empty") }
        return try sequence.map { try self.text((member.name, member.key, $0)) }
    }

    private func flag(_ member: Member) throws -> Bool {
        let text = try self.text(member)
        guard text == "true" || text == "false" else {
            throw self.refuse(member.value, "\(member.name) must be true or false, not \(text.prefix(80))")
        }
        return text == "true"
    }

    private func seconds(_ member: Member) throws -> Int64 {
        guard let seconds = try Age.seconds(self.text(member)) else {
            throw self.refuse(member.value, "\(member.name) must be a time as 14d, 12h or 30m")
        }
        return seconds
    }

    private func file(_ member: Member) throws -> String { self.resolve(try self.text(member)) }

    /// Files are relative to the file that names them.
    private func resolve(_ name: String) -> String {
        let name = name.expandingTilde
        guard !name.hasPrefix("/") else { return name }
        return URL(fileURLWithPath: self.path).deletingLastPathComponent().appending(path: name).standardizedFileURL
            .path
    }

    private func origin(_ node: Node) -> String { "\(self.path):\(node.line)" }

    private func refuse(_ node: Node, _ reason: String) -> ContentTrustError {
        ContentTrustError(.configuration, "\(self.origin(node)): \(reason)")
    }
}

/// Spans of time as people write them.
package enum Age {
    /// The seconds of `90d`, `12h`, `30m`, `45s` or `2w`; nil for anything else.
    package static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400]
        guard let unit = text.last.flatMap({ units[$0] }), text.utf8.dropLast().allSatisfy({ (48...57).contains($0) }),
            let count = Int64(text.dropLast()), count > 0, count <= 100 * 366 * 86400 / unit
        else { return nil }
        return count * unit
    }

    /// The same for people: in days, hours, minutes or seconds.
    package static func text(_ seconds: Int64) -> String {
        for (unit, size) in [("d", Int64(86400)), ("h", 3600), ("m", 60)] where seconds >= size {
            return "\(seconds / size)\(unit)"
        }
        return "\(max(0, seconds))s"
    }
}

extension KeyID {
    /// Whether it is one that a key could have.
    var isWellFormed: Bool {
        self.text.utf8.count == 64
            && self.text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}
