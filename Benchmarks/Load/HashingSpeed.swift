// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Crypto
import Foundation
import NIOCore

/// How fast a core computes what every blob's digest takes: the implementation that the registry uses, on bytes that are in
/// the core's caches already.
struct HashingSpeed: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sha256")

    @Option(help: "For how long, in seconds.")
    var seconds = 1

    func validate() throws {
        guard self.seconds > 0 else { throw ValidationError("--seconds must be 1 or more") }
    }

    func run() async throws {
        let block = (0..<(256 << 10)).map { UInt8(truncatingIfNeeded: $0) }
        var hasher = SHA256()
        var blocks = 0
        let started = NIODeadline.now()
        var elapsed = 0.0
        while elapsed < Double(self.seconds) {
            for _ in 0..<64 { block.withUnsafeBytes { hasher.update(bufferPointer: $0) } }
            blocks += 64
            elapsed = Double((NIODeadline.now() - started).nanoseconds) / 1e9
        }
        _ = hasher.finalize()
        print(#"{"mibPerSecond":\#(Double(blocks * block.count) / Double(1 << 20) / elapsed)}"#)
    }
}
