// SPDX-License-Identifier: Apache-2.0

import NIOCore
package import OCI
import Synchronization

/// A blob on its way from one registry to another: fetched while it is sent, hashed in between, never held whole.
///
/// Either side may break off. Where the receiving registry goes on, the blob is fetched from there again; each byte is
/// hashed once, the first time it comes. What comes again is for the receiving registry to find wrong.
package final class BlobTransfer: Sendable {
    private struct State {
        var hasher: Digest.Hasher
        /// How many bytes have been hashed.
        var hashed: Int64 = 0
        /// Which body is the present one: an older one may still be waiting for bytes.
        var generation = 0
        var failure: (any Error)?
    }

    /// Digest and size.
    package let descriptor: Descriptor
    private let client: RegistryClient
    private let repository: RepositoryName
    private let progress: @Sendable (Int) -> Void
    private let state: Mutex<State>

    /// - Parameters:
    ///   - client: where from.
    ///   - repository: the repository there.
    ///   - descriptor: digest and size.
    ///   - progress: told how many bytes came each time, without those that come again.
    package init(
        from client: RegistryClient,
        _ repository: RepositoryName,
        _ descriptor: Descriptor,
        progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.client = client
        self.repository = repository
        self.descriptor = descriptor
        self.progress = progress
        self.state = Mutex(State(hasher: Digest.Hasher(descriptor.digest.algorithm)))
    }

    /// Why it cannot be fetched, or not as it should be.
    var failure: (any Error)? { self.state.withLock { $0.failure } }

    /// The blob's bytes from a position on. Bodies that were made before end.
    func body(from offset: Int64) -> BlobTransferBody {
        let generation = self.state.withLock { state in
            state.generation += 1
            return state.generation
        }
        return BlobTransferBody(transfer: self, offset: offset, generation: generation)
    }

    fileprivate func makeDownload(from offset: Int64) -> BlobDownload {
        BlobDownload(client: self.client, repository: self.repository, descriptor: self.descriptor, from: offset)
    }

    /// Takes note of a piece before it is sent.
    /// - Throws: ``RegistryError`` with code `digestMismatch` before the last piece of wrong content is handed out.
    fileprivate func take(_ piece: ByteBuffer, at offset: Int64, generation: Int) throws {
        let fresh: Int = try self.state.withLock { state in
            guard generation == state.generation else { throw CancellationError() }
            let end = offset + Int64(piece.readableBytes)
            guard offset <= state.hashed, end > state.hashed else { return 0 }
            let known = Int(state.hashed - offset)
            piece.withUnsafeReadableBytes { bytes in
                state.hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes.dropFirst(known)))
            }
            state.hashed = end
            if end == self.descriptor.size {
                let found = state.hasher.finalize()
                guard found == self.descriptor.digest else {
                    throw RegistryError(
                        .digestMismatch,
                        "\(self.client.registry) sent content with the digest \(found) for the blob "
                            + "\(self.descriptor.digest)"
                    )
                }
            }
            return piece.readableBytes - known
        }
        if fresh > 0 { self.progress(fresh) }
    }

    fileprivate func fail(_ error: any Error, generation: Int) {
        self.state.withLock { state in
            guard generation == state.generation, !(error is CancellationError) else { return }
            state.failure = error
        }
    }
}

/// What is sent of a ``BlobTransfer`` in one request.
struct BlobTransferBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    fileprivate let transfer: BlobTransfer
    fileprivate let offset: Int64
    fileprivate let generation: Int

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let transfer: BlobTransfer
        fileprivate var download: BlobDownload
        fileprivate var offset: Int64
        fileprivate let generation: Int

        @concurrent mutating func next() async throws -> ByteBuffer? {
            do {
                guard let piece = try await self.download.next() else { return nil }
                try self.transfer.take(piece, at: self.offset, generation: self.generation)
                self.offset += Int64(piece.readableBytes)
                return piece
            } catch {
                self.transfer.fail(error, generation: self.generation)
                throw error
            }
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(
            transfer: self.transfer,
            download: self.transfer.makeDownload(from: self.offset),
            offset: self.offset,
            generation: self.generation
        )
    }
}
