// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where the front writes what it has to say.
package struct Console: Sendable {
    private let toOutput: @Sendable (String) -> Void
    private let toError: @Sendable (String) -> Void

    /// - Parameters:
    ///   - output: takes what belongs on standard output.
    ///   - error: takes what belongs on standard error.
    package init(
        output: @escaping @Sendable (String) -> Void,
        error: @escaping @Sendable (String) -> Void
    ) {
        self.toOutput = output
        self.toError = error
    }

    /// Standard output and standard error, unbuffered.
    package static let standard = Console(
        output: { Self.write(Array($0.utf8), to: STDOUT_FILENO) },
        error: { Self.write(Array($0.utf8), to: STDERR_FILENO) }
    )

    /// Writes all there is; what nobody reads any more is lost, as it is for docker.
    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Writes a line on standard output.
    func print(_ line: String) { self.toOutput(line + "\n") }

    /// Writes text on standard output as it is.
    func write(_ text: String) { self.toOutput(text) }

    /// Writes a line on standard error.
    func report(_ line: String) { self.toError(line + "\n") }
}
