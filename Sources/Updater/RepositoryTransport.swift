// SPDX-License-Identifier: Apache-2.0

/// The way to a repository's files. What comes back over it is not to be believed.
///
/// ``HTTPTransport``, ``DirectoryTransport`` and ``MemoryTransport`` are there, and ``MirrorTransport`` puts several together. One of
/// your own need not check anything of what it hands out: it has to keep to the limit, to say what failed with a
/// ``TransportError``, and to give up by itself when nothing comes.
public protocol RepositoryTransport: Sendable {
    /// Takes the next piece of a file.
    typealias Sink = ([UInt8]) async throws -> Void

    /// Hands out a file piece by piece, beginning at an offset.
    ///
    /// Whatever breaks in between, the pieces follow one another: a transport that begins anew leaves out what came already.
    /// - Parameters:
    ///   - file: the file.
    ///   - offset: how many bytes the caller has already.
    ///   - limit: the most bytes that the whole file may have; when there are more it throws `tooLarge`.
    ///   - sink: takes each piece. None follows before it returns.
    /// - Throws: ``TransportError``, with code `notFound` for nothing but a file that the repository does not have: that is how
    ///   the end of the chain of roots is found. What the sink throws, as it is.
    func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws
}

extension RepositoryTransport {
    /// A whole file of at most so many bytes.
    /// - Throws: ``TransportError``.
    package func fetch(_ file: RepositoryFile, limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        try await self.stream(file, from: 0, limit: Int64(limit)) { bytes += $0 }
        return bytes
    }
}

/// Why a transport could not hand out a file. Two errors are equal when their codes are.
public struct TransportError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: Sendable, Hashable {
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
    public let code: Code
    /// What was asked and what came.
    public let message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { self.message }

    /// Equality of codes.
    public static func == (left: TransportError, right: TransportError) -> Bool { left.code == right.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
}
