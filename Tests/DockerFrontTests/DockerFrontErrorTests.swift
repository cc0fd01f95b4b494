// SPDX-License-Identifier: Apache-2.0

import DockerFront
import Testing

@Suite("Refusals of the front of docker")
struct DockerFrontErrorTests {
    @Test("are told apart by their code")
    func codes() {
        #expect(DockerFrontError(.usage, "a") != DockerFrontError(.noDocker, "a"))
    }
}
