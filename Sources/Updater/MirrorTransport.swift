// SPDX-License-Identifier: Apache-2.0

/// Several places that have the same repository, asked in turn until one has a file.
///
/// A mirror is trusted as little as any server. One that cannot be reached, lacks a file, or has another one than was begun
/// is passed over; one that lies is found out when what it sent is verified, and the update is refused: take it off the list.
/// That there is no such file is believed when one says so and no other has it.
public struct MirrorTransport: RepositoryTransport {
    private let mirrors: [any RepositoryTransport]

    /// Takes the mirrors in the order in which they are asked.
    public init(_ mirrors: [any RepositoryTransport]) {
        self.mirrors = mirrors
    }

    /// Hands out a file, going on at the next mirror where one breaks off.
    /// - Throws: ``TransportError`` when none has it whole: the one that says most; what the sink throws.
    public func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws {
        var received = offset
        var failures: [TransportError] = []
        for mirror in self.mirrors {
            do {
                return try await mirror.stream(file, from: received, limit: limit) { piece in
                    received += Int64(piece.count)
                    try await sink(piece)
                }
            } catch let error as TransportError {
                failures.append(error)
            }
        }
        let telling = [TransportError.Code.notFound, .tooLarge, .changed, .unreachable].lazy
            .compactMap { code in failures.first { $0.code == code } }
        throw telling.first ?? TransportError(.unreachable, "there is no mirror to ask")
    }
}
