// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import NotaryAPI
import TUF

// What the settings are, for people.
extension ClientSettings {
    /// One setting that counts.
    package struct Shown: Sendable, Hashable {
        /// What is set.
        package let setting: String
        /// To what.
        package let value: String
        /// Where.
        package let origin: String

        package init(setting: String, value: String, origin: String) {
            self.setting = setting
            self.value = value
            self.origin = origin
        }
    }

    /// The files that these settings come from.
    package var readFiles: [String] { self.files.map(\.path) }

    /// Everything that is set, file by file; what binds the user's file of the machine's comes with it.
    package var general: [Shown] {
        var shown = [Shown(setting: "trust directory", value: self.trustDirectory, origin: self.trustDirectoryOrigin)]
        if let server = self.server {
            shown.append(Shown(setting: "trust server", value: server, origin: "named"))
        }
        if let file = self.files.first(where: { $0.allowsFirstUse?.value == false }), let rule = file.allowsFirstUse {
            shown.append(Shown(setting: "first use", value: "refused", origin: rule.origin))
        }
        for file in self.files { shown += Self.shown(file) }
        return shown
    }

    private var trustDirectoryOrigin: String {
        self.files.compactMap(\.trustDirectory).first { $0.value == self.trustDirectory }?.origin
            ?? "named, or Docker's"
    }

    private static func shown(_ file: ClientConfiguration) -> [Shown] {
        var shown: [Shown] = []
        func add(_ setting: String, _ value: String, _ origin: String) {
            shown.append(Shown(setting: setting, value: value, origin: origin))
        }
        if let locked = file.isLocked { add("locked", "\(locked.value)", locked.origin) }
        for rule in file.servers.rules { add("server of \(rule.pattern)", rule.value.url, rule.origin) }
        for rule in file.mirrors.rules {
            add("mirrors of \(rule.pattern)", rule.value.joined(separator: ", "), rule.origin)
        }
        for (name, registry) in file.registries.sorted(by: { $0.key < $1.key }) {
            add("registry \(name)", registry.value.isPlainHTTP ? "plain HTTP" : "TLS", registry.origin)
        }
        for (name, alias) in file.aliases.sorted(by: { $0.key < $1.key }) {
            let gun = alias.value.gun.map { ", trusted as \($0)" } ?? ""
            add("name \(name)", alias.value.content + gun, alias.origin)
        }
        for rule in file.pins.rules {
            switch rule.value {
            case .keyIDs(let ids): add("pin of \(rule.pattern)", ids.map(\.text).joined(separator: ", "), rule.origin)
            case .authorityFile(let path): add("pin of \(rule.pattern)", "CA \(path)", rule.origin)
            }
        }
        if let bundles = file.pinBundles {
            let keys = bundles.value.keyFiles.joined(separator: ", ")
            add("signers of pin bundles", "\(bundles.value.threshold) of \(keys)", bundles.origin)
        }
        if let age = file.maximumAge { add("max_age", Age.text(age.value), age.origin) }
        if let age = file.maximumBundleAge { add("bundle_max_age", Age.text(age.value), age.origin) }
        if let proxies = file.proxies {
            let urls = [proxies.value.https, proxies.value.http].compactMap { $0 }
            // They may hold a password.
            add(
                "proxy",
                urls.map { $0.contains("@") ? "(with a password)" : $0 }.joined(separator: ", "),
                proxies.origin
            )
        }
        return shown
    }

    /// Reads everything that the settings name: CAs of pins, keys and bundles.
    /// - Throws: ``ContentTrustError`` with code `configuration`; `TrustClientError` for a pin bundle that must not be used.
    package func check(at now: Date) throws {
        for file in self.files {
            for rule in file.pins.rules {
                guard case .authorityFile(let path) = rule.value else { continue }
                _ = try Self.authorities(path)
            }
            if let bundles = file.pinBundles {
                _ = try InstalledPins.signers(
                    bundles.value.keyFiles,
                    threshold: bundles.value.threshold,
                    needed: bundles.origin
                )
            }
        }
        for path in (self.configuration?.authorityFiles ?? [:]).values { _ = try Self.authorities(path) }
        _ = try self.pinBundles(at: now)
    }

    /// The proxies: those that the environment names, else those of the settings.
    package var proxyVariables: [String: String] {
        guard let proxies = self.files.lazy.compactMap(\.proxies).first?.value else { return self.environment }
        var variables = self.environment
        func add(_ names: [String], _ value: String?) {
            guard let value, names.allSatisfy({ variables[$0]?.isEmpty ?? true }), let name = names.first else {
                return
            }
            variables[name] = value
        }
        add(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"], proxies.https)
        add(["http_proxy", "all_proxy", "ALL_PROXY"], proxies.http)
        add(["no_proxy", "NO_PROXY"], proxies.exempt.isEmpty ? nil : proxies.exempt.joined(separator: ","))
        return variables
    }
}
