// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The directory that holds everything a server keeps.
enum DataDirectory {
    /// Makes it, for its owner alone.
    /// - Throws: ``CommandError`` that says why it cannot be used.
    static func prepare(_ path: String) throws {
        for name in ["", "/signer", "/registry"] {
            do {
                try FileManager.default.createDirectory(
                    atPath: path + name,
                    withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700]
                )
            } catch {
                throw CommandError(
                    .failure,
                    "cannot make the directory \(path + name): \(Self.reason(error)); name another with --data"
                )
            }
        }
    }

    private static func reason(_ error: any Error) -> String {
        let error = error as NSError
        let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError
        guard let cause, cause.domain == NSPOSIXErrorDomain, let number = CInt(exactly: cause.code) else {
            return error.localizedDescription
        }
        return String(cString: strerror(number))
    }
}
