// SPDX-License-Identifier: Apache-2.0

package import NIOCore
import Synchronization

/// A repository in memory, with a list of what was asked of it.
package final class MemoryTransport: RepositoryTransport {
    private struct State {
        var files: [RepositoryFile: [UInt8]] = [:]
        var requests: [RepositoryFile] = []
    }

    private let state = Mutex(State())

    /// Makes an empty repository.
    package init() {}

    /// The file of a name; nil when there is none.
    package subscript(file: RepositoryFile) -> [UInt8]? {
        get { self.state.withLock { $0.files[file] } }
        set { self.state.withLock { $0.files[file] = newValue } }
    }

    /// What was asked since this was last called, in order.
    package func takeRequests() -> [RepositoryFile] {
        self.state.withLock { state in
            defer { state.requests = [] }
            return state.requests
        }
    }

    package func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: (ByteBuffer) async throws -> Void
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
        try await sink(ByteBuffer(bytes: bytes[rest...]))
    }
}
