// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

@main
struct Hallmark: AsyncParsableCommand {
    func run() async throws {}
}
