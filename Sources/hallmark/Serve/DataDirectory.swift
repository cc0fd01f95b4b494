// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The directory that holds everything a server keeps.
enum DataDirectory {
    /// Makes it and what the services have in it, for its owner alone.
    /// - Throws: ``CommandError`` that says why it cannot be used.
    static func prepare(_ path: String, for services: Set<DatabaseOptions.Service>) throws {
        try Self.make(path)
        if services.contains(.signer) { try Self.make(path + "/signer") }
        if services.contains(.registry) { try Self.make(path + "/registry") }
    }

    /// What a second process on the same directory is told.
    static func inUse(_ path: String) -> CommandError {
        CommandError(
            .failure,
            "\(path) is in use by another hallmark serve: end that one, or name another directory with --data"
        )
    }

    private static func make(_ path: String) throws {
        if mkdir(path, 0o700) == 0 { return }
        var reason = errno
        let parent = (path as NSString).deletingLastPathComponent
        if reason == ENOENT, !parent.isEmpty, parent != path {
            try Self.make(parent)
            if mkdir(path, 0o700) == 0 { return }
            reason = errno
        }
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue { return }
        throw CommandError(
            .failure,
            "cannot make the directory \(path): \(String(cString: strerror(reason))); name another with --data"
        )
    }
}
