// SPDX-License-Identifier: Apache-2.0

extension DockerFrontError {
    /// A place in a Dockerfile that content trust cannot follow.
    static func dockerfile(_ line: Int, _ message: String) -> DockerFrontError {
        DockerFrontError(.build, "Dockerfile line \(line + 1): \(message)")
    }
}
