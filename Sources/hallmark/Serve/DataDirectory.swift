// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The directory that holds everything a server keeps.
enum DataDirectory {
    /// Makes it, for its owner alone.
    /// - Throws: ``CommandError`` that says why it cannot be used.
    static func prepare(_ path: String) throws {
        for name in ["", "/signer", "/registry"] { try Self.make(path + name) }
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
