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
    /// Where the machine has some, if that matters to the user's aliases; nil where it has none.
    let machinePinBundles: String?

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
        } else if let path = userDirectory.map({ "\($0)/\(Self.name)" }), try Self.isThere(path) {
            user = try ClientConfiguration(path: path)
        }
        let path = "\(machineDirectory)/\(Self.name)"
        // What cannot be looked at may forbid something: reading it says why.
        let machine = try Self.isThere(path) ? ClientConfiguration(path: path) : nil
        self.notary = notary
        self.machine = machine
        self.files = [user, machine].compactMap { $0 }
        let machinePins = InstalledPins.Source("\(machineDirectory)/pins.d", machine?.pinBundles?.value ?? .init())
        self.pinSources = try Self.userPins(userDirectory, user) + [machinePins]
        let hasAliases = user?.aliases.values.contains { $0.value.gun != nil } ?? false
        self.machinePinBundles = hasAliases ? Self.origin(of: machinePins) : nil
    }

    /// The user's pin bundles. Who signs what is in `pins.d` the file beside it says, whichever file was named for all else.
    private static func userPins(_ directory: String?, _ user: ClientConfiguration?) throws -> [InstalledPins.Source] {
        guard let directory else {
            return user?.pinBundles.map { [InstalledPins.Source("/nonexistent", $0.value)] } ?? []
        }
        let own = "\(directory)/\(Self.name)"
        if let user, user.path == own {
            return [InstalledPins.Source("\(directory)/pins.d", user.pinBundles?.value ?? .init())]
        }
        var sources: [InstalledPins.Source] = []
        if try Self.isThere("\(directory)/pins.d") {
            let beside = try Self.isThere(own) ? ClientConfiguration(path: own) : nil
            var bundles = beside?.pinBundles?.value ?? .init()
            bundles.files = []
            sources.append(InstalledPins.Source("\(directory)/pins.d", bundles))
        }
        if let bundles = user?.pinBundles?.value { sources.append(InstalledPins.Source("/nonexistent", bundles)) }
        return sources
    }

    /// Where bundles are, if there are some or it cannot be told.
    private static func origin(of source: InstalledPins.Source) -> String? {
        guard let paths = try? InstalledPins.paths(source) else { return source.directory }
        return paths.first
    }

    private static func isThere(_ path: String) throws -> Bool {
        do {
            return try FileStatus(path: path) != nil
        } catch let error as FileSystemError where error.number == ENOTDIR {
            // As where the home directory is /dev/null.
            return false
        } catch {
            throw ContentTrustError(.configuration, "\(error)")
        }
    }

    /// `$XDG_CONFIG_HOME/hallmark`, else `~/.config/hallmark`.
    static func userDirectory(_ environment: [String: String]) -> String? {
        if let base = environment["XDG_CONFIG_HOME"], base.hasPrefix("/") { return "\(base)/hallmark" }
        // As `~` is read elsewhere.
        let home =
            environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
            ?? FileManager.default.homeDirectoryForCurrentUser.path
        return home.isEmpty ? nil : "\(home)/.config/hallmark"
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
