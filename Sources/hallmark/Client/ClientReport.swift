// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import NotaryAPI
import OCI
import TUF
import TrustClient

/// What a client's settings come to.
struct ClientReport: Encodable {
    struct Line: Encodable {
        let setting: String
        let value: String
        let origin: String
    }

    let settings: [Line]

    /// All that is set.
    init(_ settings: ClientSettings, at now: Date) throws {
        var lines = settings.general
        lines += try settings.pinBundles(at: now).map { entry in
            let firstUse = entry.bundle.refusesFirstUse ? ", refuses first use" : ""
            let text =
                "\(entry.bundle.name), version \(entry.bundle.version), expires \(entry.bundle.expires), "
                + "\(entry.bundle.pins.count) pins\(firstUse)"
            return ClientSettings.Shown(setting: "pin bundle", value: text, origin: entry.path)
        }
        self.settings = lines.map { Line(setting: $0.setting, value: $0.value, origin: $0.origin) }
    }

    /// What counts for a collection.
    init(_ settings: ClientSettings, collection gun: GUN, at now: Date) throws {
        self.settings = try Self.collection(gun, settings, now)
    }

    /// What counts for an image.
    init(_ settings: ClientSettings, image reference: ImageReference, at now: Date) throws {
        let gun = try settings.gun(for: reference)
        var lines = try Self.collection(gun, settings, now)
        let mirror = settings.mirrorRule(for: reference.gun)?.origin ?? ""
        lines += settings.mirrors(for: reference).map { Line(setting: "mirror", value: $0.description, origin: mirror) }
        let origin = settings.origin(of: reference)
        lines.append(
            Line(
                setting: "content",
                value: origin.description,
                origin: settings.alias(of: reference)?.origin ?? "the image's name"
            )
        )
        for place in settings.places(of: reference) {
            guard let rule = settings.registryRule(for: place.registry) else { continue }
            let scheme = rule.value.isPlainHTTP ? "plain HTTP" : "TLS"
            let authority = rule.value.authorityFile.map { ", CA \($0)" } ?? ""
            lines.append(
                Line(setting: "registry", value: "\(place.registry): \(scheme)\(authority)", origin: rule.origin)
            )
        }
        self.settings = lines
    }

    private static func collection(_ gun: GUN, _ settings: ClientSettings, _ now: Date) throws -> [Line] {
        let server = try settings.trustServer(for: gun)
        let origin = settings.serverRule(for: gun)?.origin ?? (settings.server == nil ? "default" : "named")
        var lines = [
            Line(setting: "collection", value: gun.text, origin: "the name"),
            Line(setting: "trust server", value: server.url, origin: origin),
        ]
        lines += server.authorityFiles.map { Line(setting: "trust server's CA", value: $0, origin: origin) }
        if let file = server.certificateFile {
            lines.append(Line(setting: "client certificate", value: file, origin: origin))
        }
        let pins = try settings.rootPins(for: gun, at: now)
        lines += pins.map { Line(setting: "pin", value: $0.summary, origin: $0.origin) }
        if pins.isEmpty {
            let refusal = settings.refusesFirstUse(at: now)
            lines.append(
                Line(setting: "first use", value: refusal == nil ? "allowed" : "refused", origin: refusal ?? "default")
            )
        }
        return lines
    }

    /// The same for people.
    var text: String {
        guard !self.settings.isEmpty else { return "No settings: the defaults count.\n" }
        return Table(["SETTING", "VALUE", "FROM"], self.settings.map { [$0.setting, $0.value, $0.origin] }).text + "\n"
    }
}
