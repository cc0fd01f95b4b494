// SPDX-License-Identifier: Apache-2.0

package import Ceremony
package import TUF

/// What a repository needs of a file system. Every change is durable when the call returns, and a file is replaced whole or not
/// at all. Paths are relative to the repository's directory. All of it blocks.
package protocol RepositoryFiles: CeremonyFiles {
    /// Reads a regular file piece by piece.
    /// - Returns: false when there is none.
    func stream(_ path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool
    /// Whether there is a file of this name.
    func exists(_ path: String) throws -> Bool
    /// Gives a file one more name, in place of another file of that name.
    func link(_ path: String, to new: String) throws
    /// Copies a file from anywhere into a directory, under the SHA-256 of its content, hashing while it copies.
    /// - Returns: its length and hashes.
    func take(_ source: String, into directory: String) throws -> TargetFile
    /// Removes temporary files that a crash left in a directory.
    func removeTemporaryFiles(in directory: String) throws
}

extension RepositoryFiles {
    /// Removes a file; not an error when there is none.
    func remove(_ path: String) throws { try self.remove([path]) }
}
