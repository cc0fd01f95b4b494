// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Standard input, output and error.
enum StandardStreams {
    /// Gives each that the caller closed a place to go: else a file that is opened later would take its number, and what is
    /// printed would be written into that file.
    static func ensureOpen() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
            _ = open("/dev/null", O_RDWR)
        }
    }
}
