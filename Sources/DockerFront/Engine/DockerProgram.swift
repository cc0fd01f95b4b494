// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where the docker is that the front hands over to.
package struct DockerProgram: Sendable, Hashable {
    /// Names it, where the first on `PATH` is not the one.
    package static let variable = "HALLMARK_DOCKER"
    /// The process that handed over, so that a `docker` that leads back here is noticed.
    static let marker = "HALLMARK_DOCKER_FRONT"

    /// Its path.
    package let path: String

    /// Finds `docker` on `PATH`, past everything that is this program under another name.
    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - isPlugin: whether docker has started this program as its plugin: then it did not lead back here.
    ///   - ourselves: the file of this program.
    /// - Throws: ``DockerFrontError`` with code `noDocker`.
    package init(
        environment: [String: String],
        isPlugin: Bool = false,
        ourselves: String = Self.runningProgram
    ) throws {
        if !isPlugin, let marker = environment[Self.marker], Self.isOurs(marker) {
            throw DockerFrontError(
                .noDocker,
                "the docker that was found leads back to hallmark; set \(Self.variable) to the path of the real one"
            )
        }
        let own = Self.resolve(ourselves)
        if let named = environment[Self.variable], !named.isEmpty {
            guard access(named, X_OK) == 0, Self.resolve(named) != own else {
                throw DockerFrontError(.noDocker, "\(Self.variable) is \(named), which is not a docker that can be run")
            }
            self.path = named
            return
        }
        let search = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        let candidates = search.split(separator: ":").map { "\($0)/docker" }
        guard let found = candidates.first(where: { Self.isProgram($0) && Self.resolve($0) != own }) else {
            throw DockerFrontError(
                .noDocker,
                "there is no docker on PATH to hand over to: install Docker's command, or set \(Self.variable) to its path"
            )
        }
        self.path = found
    }

    /// The file of the program that runs.
    package static var runningProgram: String {
        self.resolve("/proc/self/exe")
    }

    /// Whether the marker was set by this process before it ran something else in its place, or by the one that started it.
    private static func isOurs(_ marker: String) -> Bool {
        marker == "\(getpid())" || marker == "\(getppid())"
    }

    private static func isProgram(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return false }
        return !isDirectory.boolValue && access(path, X_OK) == 0
    }

    private static func resolve(_ path: String) -> String {
        let resolved = realpath(path, nil)
        defer { free(resolved) }
        return resolved.map { String(cString: $0) } ?? path
    }
}
