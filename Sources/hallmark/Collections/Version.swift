// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `hallmark version`
struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Say which version this is.")

    @OptionGroup var output: OutputOptions

    func run() {
        if self.output.output == .json {
            JSONOutput.write(["version": HallmarkVersion.current])
        } else {
            print("hallmark\n Version:    \(HallmarkVersion.current)")
        }
    }
}
