// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import Settings

/// The files that a client is set by: what was named, else the user's own; and the machine's.
struct ClientFiles {
    /// Notary's file, where that is what was named.
    let notary: NotaryClientConfiguration?
    /// The user's file, if there is one, then the machine's.
    let files: [ClientConfiguration]
    /// The machine's file.
    let machine: ClientConfiguration?
    /// Where pin bundles are.
    let pinSources: [InstalledPins.Source]

    /// The name of the user's and of the machine's file.
    private static let name = "client.yaml"

    /// - Throws: ``ContentTrustError`` with code `configuration`.
    init(_ named: String?, environment: [String: String], machineDirectory: String) throws {
        let userDirectory = Self.userDirectory(environment)
        var user: ClientConfiguration?
        var notary: NotaryClientConfiguration?
        let variable = environment[ClientSettings.configurationVariable].flatMap { $0.isEmpty ? nil : $0 }
        if let path = (named ?? variable)?.expandingTilde {
            if path == "/dev/null" {
                // Named to have no file read, not even that which is read otherwise.
            } else if Self.isJSON(path) {
                notary = try NotaryClientConfiguration(path: path)
            } else {
                user = try ClientConfiguration(path: path)
            }
        } else if let path = userDirectory.map({ "\($0)/\(Self.name)" }), FileManager.default.fileExists(atPath: path) {
            user = try ClientConfiguration(path: path)
        }
        let path = "\(machineDirectory)/\(Self.name)"
        // What cannot be looked at may forbid something: reading it says why.
        let machine = try Self.isThere(path) ? ClientConfiguration(path: path) : nil
        self.notary = notary
        self.machine = machine
        self.files = [user, machine].compactMap { $0 }
        self.pinSources = [(userDirectory, user), (machineDirectory, machine)].compactMap { directory, file in
            let bundles = file?.pinBundles?.value
            guard let directory else {
                return bundles.map { InstalledPins.Source("/nonexistent", $0) }
            }
            return InstalledPins.Source("\(directory)/pins.d", bundles ?? ClientConfiguration.PinBundles())
        }
    }

    private static func isThere(_ path: String) throws -> Bool {
        do {
            return try FileStatus(path: path) != nil
        } catch {
            throw ContentTrustError(.configuration, "\(error)")
        }
    }

    /// `$XDG_CONFIG_HOME/hallmark`, else `~/.config/hallmark`.
    static func userDirectory(_ environment: [String: String]) -> String? {
        if let base = environment["XDG_CONFIG_HOME"], base.hasPrefix("/") { return "\(base)/hallmark" }
        return environment["HOME"].flatMap { $0.isEmpty ? nil : "\($0)/.config/hallmark" }
    }

    /// Whether a file is Notary's, which is JSON: it begins with a brace. One that cannot be read is left to who reads it.
    private static func isJSON(_ path: String) -> Bool {
        guard let data = FileManager.default.contents(atPath: path) else { return path.hasSuffix(".json") }
        return data.first { $0 > 0x20 } == UInt8(ascii: "{") || path.hasSuffix(".json")
    }
}

extension InstalledPins.Source {
    init(_ directory: String, _ bundles: ClientConfiguration.PinBundles) {
        self.init(
            directory: directory,
            files: bundles.files,
            keyFiles: bundles.keyFiles,
            threshold: bundles.threshold
        )
    }
}

extension ClientSettings {
    /// Where the settings for everybody on a machine are.
    package static let machineDirectory = "/etc/hallmark"
    /// The variable that names a file of the client's settings.
    package static let configurationVariable = "HALLMARK_CLIENT_CONFIG"
}
