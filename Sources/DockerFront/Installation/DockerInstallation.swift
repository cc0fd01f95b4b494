// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation

/// What `hallmark docker install` puts in place: the plugin `docker trust`, and a `docker` that is this program, if wanted.
package struct DockerInstallation: Sendable {
    /// What stands at a place of ours.
    package enum Presence: String, Sendable, Hashable {
        /// Nothing.
        case absent
        /// A link to this program.
        case installed
        /// A link to a hallmark that is not this one, or to nothing.
        case otherHallmark
        /// Something of somebody else's.
        case foreign
    }

    /// The plugin's place.
    package let plugin: String
    /// The place of a `docker` that is this program; nil for none.
    package let shim: String?
    /// The file of this program.
    package let program: String

    /// - Parameters:
    ///   - pluginDirectory: where docker looks for plugins; nil for `cli-plugins` in its configuration.
    ///   - shimDirectory: where a `docker` goes that is this program; nil for none.
    ///   - environment: the process's variables.
    ///   - program: the file of this program.
    package init(
        pluginDirectory: String?,
        shimDirectory: String?,
        environment: [String: String],
        program: String = DockerProgram.runningProgram
    ) {
        let configuration = environment["DOCKER_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
        let directory = pluginDirectory ?? (configuration ?? home + "/.docker") + "/cli-plugins"
        self.plugin = Self.absolute(directory) + "/" + TrustPlugin.programName
        self.shim = shimDirectory.map { Self.absolute($0) + "/docker" }
        self.program = program
    }

    /// Puts links in place. What is there already and is ours is replaced.
    /// - Returns: the paths that were made.
    /// - Throws: ``DockerFrontError`` with code `storage`, also for a file of somebody else's.
    package func install() throws -> [String] {
        let paths = [self.plugin] + [self.shim].compactMap { $0 }
        for path in paths where self.presence(of: path) == .foreign {
            throw DockerFrontError(.storage, "\(path) is there already and not hallmark's: move it away first")
        }
        return try paths.map { path in
            try self.link(path)
            return path
        }
    }

    /// Takes away what is ours.
    /// - Returns: the paths that were removed.
    /// - Throws: ``DockerFrontError`` with code `storage`.
    package func uninstall() throws -> [String] {
        try ([self.plugin] + [self.shim].compactMap { $0 }).filter { path in
            guard [.installed, .otherHallmark].contains(self.presence(of: path)) else { return false }
            do {
                try FileManager.default.removeItem(atPath: path)
            } catch {
                throw DockerFrontError(.storage, "cannot remove \(path): \(error.localizedDescription)")
            }
            return true
        }
    }

    /// What stands at a place.
    package func presence(of path: String) -> Presence {
        guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else {
            return FileManager.default.fileExists(atPath: path) ? .foreign : .absent
        }
        if DurableFile.resolve(path) == DurableFile.resolve(self.program) { return .installed }
        return (target as NSString).lastPathComponent == "hallmark" ? .otherHallmark : .foreign
    }

    private func link(_ path: String) throws {
        let directory = (path as NSString).deletingLastPathComponent
        let temporary = "\(path).\(UUID().uuidString)"
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: temporary, withDestinationPath: self.program)
        } catch {
            throw DockerFrontError(.storage, "cannot make \(path): \(error.localizedDescription)")
        }
        guard rename(temporary, path) == 0 else {
            let number = errno
            unlink(temporary)
            throw DockerFrontError(.storage, "cannot make \(path): \(String(cString: strerror(number)))")
        }
    }

    private static func absolute(_ path: String) -> String {
        var text = path
        if !text.hasPrefix("/") { text = FileManager.default.currentDirectoryPath + "/" + text }
        while text.count > 1, text.hasSuffix("/") { text.removeLast() }
        return text
    }
}

/// The docker that is there, and what it has of content trust.
package struct DockerVersion: Sendable, Hashable {
    /// What it says of itself: `28.2.2`.
    package let text: String
    /// The first number of it.
    package let major: Int

    /// Reads `Docker version 28.2.2, build e6534b4`; nil for something else.
    package init?(_ output: String) {
        let words = output.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard words.count > 2, words[0] == "Docker", words[1] == "version" else { return nil }
        let text = words[2].prefix { $0 != "," }
        guard let major = Int(text.prefix { $0 != "." }) else { return nil }
        self.text = String(text)
        self.major = major
    }

    /// The first version without content trust.
    private static let firstWithout = 29
    /// The first version whose `docker trust signer remove` does nothing.
    private static let firstWithoutRemoval = 26

    /// Whether `docker trust` is part of it, so that a plugin of that name is left aside.
    package var hasTrustCommand: Bool { self.major < Self.firstWithout }

    /// What to know about it.
    package var remarks: [String] {
        guard self.hasTrustCommand else {
            return [
                "it ignores DOCKER_CONTENT_TRUST: pull, push, run, create and build check and sign nothing unless hallmark is in front",
                "docker trust is a plugin: hallmark's, once it is installed",
            ]
        }
        var remarks = [
            "it has content trust itself (DOCKER_CONTENT_TRUST=1), and hallmark may stand in front all the same",
            "docker trust is built in: it takes hallmark's plugin for a duplicate and leaves it alone, until it is upgraded to 29",
        ]
        if self.major >= Self.firstWithoutRemoval {
            remarks.append("its docker trust signer remove does nothing: hallmark signer remove works")
        }
        return remarks
    }
}
