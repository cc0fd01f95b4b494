// SPDX-License-Identifier: Apache-2.0

package import OCI

/// Where the bytes of a blob are: the name of a file below the directory of blobs, or of an object. Bytes are written to it once.
package struct BlobLocation: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Parts of letters, digits, `-`, `_` and `.`, joined by `/`.
    package let description: String

    /// How long one may be, in bytes.
    private static let maximumLength = 512

    /// - Throws: ``BlobLocationError`` for what no store of ours made, such as a path that leads elsewhere.
    package init(_ description: String) throws {
        let parts = description.split(separator: "/", omittingEmptySubsequences: false)
        let isWell = parts.allSatisfy { part in
            part.first.map { $0 != "." } ?? false
                && part.utf8.allSatisfy {
                    UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0
                        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
                        || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
                }
        }
        guard isWell, description.utf8.count <= Self.maximumLength else {
            throw BlobLocationError(description: "\(description.prefix(80)) is no location of a blob")
        }
        self.description = description
    }

    /// A location for a blob: `sha256/ab/ab…-<id>`.
    /// - Parameters:
    ///   - digest: What the bytes hash to.
    ///   - id: Makes it the only one of its kind.
    package init(of digest: Digest, id: UploadID) {
        self.description =
            "\(digest.algorithm.rawValue)/\(digest.encoded.prefix(2))/\(digest.encoded)-\(id)"
    }

    /// A location that says nothing of what is there, for bytes that are written before their digest is known: `ab/ab…`.
    package init(id: UploadID) {
        self.description = "\(id.description.prefix(2))/\(id)"
    }

    package static func < (first: BlobLocation, second: BlobLocation) -> Bool {
        first.description.utf8.lexicographicallyPrecedes(second.description.utf8)
    }
}

/// A text that should be a location, and is none.
package struct BlobLocationError: Error, CustomStringConvertible {
    package let description: String
}
