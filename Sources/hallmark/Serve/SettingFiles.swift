// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import Settings

/// The files that settings name.
enum SettingFiles {
    /// - Throws: ``CommandError`` for the first that cannot be read.
    static func requireReadable(_ settings: SettingValues) throws {
        for (path, name) in Self.named(settings) {
            if let reason = Self.whyUnreadable(path) {
                throw CommandError(.failure, "cannot read \(path): \(reason) (\(name))")
            }
        }
    }

    /// Every file to be read, and the setting that names it.
    private static func named(_ settings: SettingValues) -> [(path: String, name: String)] {
        settings.all.flatMap { entry -> [(String, String)] in
            guard entry.declaration.isPath, entry.origin != .fallback, entry.declaration.key != "data" else {
                return []
            }
            return (entry.words ?? []).filter { !entry.declaration.keywords.contains($0) }
                .map { ($0.expandingTilde, entry.origin.description) }
        }
    }

    /// Nil for a file that can be read.
    static func whyUnreadable(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        _ = close(descriptor)
        return nil
    }
}
