// SPDX-License-Identifier: Apache-2.0

package import OCI

/// A program on this machine that keeps images and runs them.
package protocol ImageEngine: Sendable {
    /// What it is called, for people.
    var description: String { get }

    /// The machine that it runs images on.
    func platform() async throws -> Platform

    /// Takes in an image whose bytes were verified, and names it.
    /// - Parameters:
    ///   - layout: a directory with an OCI image layout of this one image.
    ///   - image: its manifest.
    ///   - names: its names, each with a tag.
    func load(_ layout: String, _ image: Descriptor, names: [ImageReference]) async throws

    /// Writes images to a file that `ImageSource` reads.
    func save(_ names: [String], to path: String) async throws
}

extension Platform {
    /// The machine this runs on, where images are usually Linux's.
    package static var ofThisMachine: Platform {
        #if arch(arm64)
        Platform(os: "linux", architecture: "arm64")
        #else
        Platform(os: "linux", architecture: "amd64")
        #endif
    }
}
