// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A repository in memory, with a list of what was asked of it: for tests.
public final class MemoryTransport: RepositoryTransport {
    private struct State {
        var files: [RepositoryFile: [UInt8]] = [:]
        var requests: [RepositoryFile] = []
    }

    private let state = Mutex(State())

    /// Makes an empty repository.
    public init() {}

    /// The file of a name; nil when there is none.
    public subscript(file: RepositoryFile) -> [UInt8]? {
        get { self.state.withLock { $0.files[file] } }
        set { self.state.withLock { $0.files[file] = newValue } }
    }

    /// What was asked since this was last called, in order.
    public func takeRequests() -> [RepositoryFile] {
        self.state.withLock { state in
            defer { state.requests = [] }
            return state.requests
        }
    }

    /// Hands out a file in one piece.
    /// - Throws: ``TransportError``; what the sink throws.
    public func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws {
        let bytes = self.state.withLock { state in
            state.requests.append(file)
            return state.files[file]
        }
        guard let bytes else { throw TransportError(.notFound, "there is no \(file.urlPath)") }
        guard bytes.count <= limit else {
            throw TransportError(.tooLarge, "\(file.urlPath) has more than the \(limit) bytes that are expected")
        }
        guard let rest = Int(exactly: offset), rest < bytes.count else { return }
        try await sink(Array(bytes[rest...]))
    }
}
