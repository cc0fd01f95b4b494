// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation

/// The terminal that the process was started on: reads from standard input, shows on standard output, or on standard error
/// where the output goes to a file or a program.
package struct StandardTerminal: Terminal {
    private static let maximumLine = 1024

    package init() {}

    package var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    package func write(_ text: String) async throws {
        let descriptor = isatty(STDOUT_FILENO) == 1 ? STDOUT_FILENO : STDERR_FILENO
        try await BlockingWork.wait {
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw KeyStoreError(.passphraseUnavailable, "cannot write to the terminal") }
                rest = rest.dropFirst(count)
            }
        }
    }

    package func readSecret() async throws -> String? {
        try await BlockingWork.wait { try Self.readWithoutEcho() }
    }

    /// Reads key by key with signals off, so that Ctrl-C cannot leave the terminal without its echo.
    private static func readWithoutEcho() throws -> String? {
        var original = termios()
        guard tcgetattr(STDIN_FILENO, &original) == 0 else { return nil }
        var silent = original
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        guard tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0 else { return nil }
        defer { tcsetattr(STDIN_FILENO, TCSAFLUSH, &original) }
        var line: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return line.isEmpty ? nil : String(decoding: line, as: UTF8.self) }
            switch byte {
            case 0x0A, 0x0D: return String(decoding: line, as: UTF8.self)
            case 0x03: throw CancellationError()
            case 0x04 where line.isEmpty: return nil
            case 0x08, 0x7F:
                // A character may have several bytes.
                while let last = line.popLast(), last & 0xC0 == 0x80 {}
            case 0x15: line.removeAll()
            default: if line.count < self.maximumLine { line.append(byte) }
            }
        }
    }
}
