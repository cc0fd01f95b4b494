// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import Synchronization

/// The next line from an open file descriptor: a pipe of whoever started the process, which no other process sees.
///
/// It is read once, not beyond its line, and kept for the keys that follow. A wrong passphrase ends the operation.
package final class PassphraseDescriptor: PassphraseSource {
    private static let maximumLine = 4096

    private let descriptor: Int32
    private let line = Mutex<[UInt8]?>(nil)

    /// - Parameter descriptor: its number; nothing is read yet.
    package init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    package func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        if case .pin = request.purpose { return nil }
        guard request.attempt == 0 else { throw request.attemptsExceeded }
        let line = try await BlockingWork.wait {
            try self.line.withLock { known in
                if let known { return known }
                let line = try self.readLine()
                known = line
                return line
            }
        }
        return try Passphrase.firstLine(of: line, from: "file descriptor \(self.descriptor)", for: request)
    }

    /// Byte by byte: what follows is for another reader.
    private func readLine() throws -> [UInt8] {
        var line: [UInt8] = []
        while line.count < Self.maximumLine {
            var byte: UInt8 = 0
            let count = read(self.descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw KeyStoreError(
                    .passphraseUnavailable,
                    "no passphrase can be read from file descriptor \(self.descriptor): \(String(cString: strerror(errno)))"
                )
            }
            if count == 0 || byte == UInt8(ascii: "\n") { break }
            line.append(byte)
        }
        return line
    }
}
