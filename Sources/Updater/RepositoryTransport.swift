// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The way to a repository's files. What comes back over it is not to be believed.
package protocol RepositoryTransport: Sendable {
    /// Hands out a file piece by piece, beginning at an offset.
    ///
    /// Whatever breaks in between, the pieces follow one another: a transport that begins anew leaves out what came already.
    /// - Parameters:
    ///   - file: the file.
    ///   - offset: how many bytes the caller has already.
    ///   - limit: the most bytes that the whole file may have; more are never held.
    ///   - sink: takes each piece.
    /// - Throws: ``TransportError``; what the sink throws.
    func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: (ByteBuffer) async throws -> Void
    ) async throws
}

extension RepositoryTransport {
    /// A whole file of at most so many bytes.
    /// - Throws: ``TransportError``.
    package func fetch(_ file: RepositoryFile, limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        try await self.stream(file, from: 0, limit: Int64(limit)) { bytes += $0.readableBytesView }
        return bytes
    }
}

/// Why a file could not be had. Two errors are equal when their codes are.
package struct TransportError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    package enum Code: Sendable, Hashable {
        /// There is no such file, or none that may be seen: repositories answer 403 for one as for the other.
        case notFound
        /// More bytes than may come.
        case tooLarge
        /// What is there is another file than the one that was begun: what came of it must go.
        case changed
        /// Anything else: it may work another time.
        case unreachable
    }

    /// The kind of failure.
    package let code: Code
    /// What was asked and what came.
    package let message: String

    /// Makes an error.
    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    package var description: String { self.message }

    /// Equality of codes.
    package static func == (left: TransportError, right: TransportError) -> Bool { left.code == right.code }

    /// Hashes the code.
    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
}
