// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
package import OCI

extension RegistryClient {
    /// The size of a blob; nil when the repository does not have it.
    /// - Throws: ``RegistryError``.
    package func headBlob(_ repository: RepositoryName, _ digest: Digest) async throws -> Int64? {
        let request = RegistryRequest(
            .HEAD,
            "/v2/\(repository)/blobs/\(digest)",
            scopes: Self.scopes(repository, "pull")
        )
        return try await self.blobSize(request, digest)
    }

    func blobSize(_ request: RegistryRequest, _ digest: Digest) async throws -> Int64? {
        let response = try await self.send(request)
        switch response.status {
        case .ok: return response.headers.first(name: "Content-Length").flatMap { Int64($0) } ?? -1
        case .notFound: return nil
        default: throw try await self.error(response, "looking for the blob \(digest)")
        }
    }

    /// Hands out a blob piece by piece while it comes.
    ///
    /// After a broken connection it goes on where it stopped. What was handed out is right only when this returns.
    /// - Throws: ``RegistryError``; `digestMismatch` as soon as there is more than the descriptor says, or at the end.
    package func getBlob(
        _ repository: RepositoryName,
        _ descriptor: Descriptor,
        _ sink: (ByteBuffer) async throws -> Void
    ) async throws {
        var hasher = Digest.Hasher(descriptor.digest.algorithm)
        try await self.streamBlob(repository, descriptor) { buffer in
            buffer.withUnsafeReadableBytes { hasher.update(bufferPointer: $0) }
            try await sink(buffer)
        }
        let found = hasher.finalize()
        guard found == descriptor.digest else {
            throw RegistryError(
                .digestMismatch,
                "\(self.registry) sent content with the digest \(found) for the blob \(descriptor.digest)"
            )
        }
    }

    /// Puts a blob into a destination, which verifies it.
    /// - Parameter progress: told how many bytes came each time.
    /// - Throws: ``RegistryError``, or `OCIError` with code `digestMismatch`.
    package func getBlob(
        _ repository: RepositoryName,
        into writer: BlobWriter,
        progress: @Sendable (Int) -> Void = { _ in }
    ) async throws {
        var gathered = ByteBuffer()
        try await self.streamBlob(repository, writer.descriptor) { buffer in
            progress(buffer.readableBytes)
            gathered.writeImmutableBuffer(buffer)
            guard gathered.readableBytes >= 1 << 20 else { return }
            try await Self.write(gathered, writer)
            gathered.clear()
        }
        try await Self.write(gathered, writer)
        do {
            try await NIOThreadPool.singleton.runIfActive { try writer.commit() }
        } catch let error as OCIError where error.code == .digestMismatch {
            throw RegistryError(.digestMismatch, "\(self.registry): \(error.message)")
        }
    }

    /// Removes a blob from a repository.
    /// - Throws: ``RegistryError``, `notFound` when there is none.
    package func deleteBlob(_ repository: RepositoryName, _ digest: Digest) async throws {
        try await self.delete("/v2/\(repository)/blobs/\(digest)", in: repository, "deleting the blob \(digest)")
    }

    /// Removes what a path names.
    /// - Parameter action: what is being done, for the error.
    func delete(_ path: String, in repository: RepositoryName, _ action: String) async throws {
        let request = RegistryRequest(.DELETE, path, scopes: Self.scopes(repository, "delete,pull,push"))
        let response = try await self.send(request)
        guard [.accepted, .ok, .noContent].contains(response.status) else {
            throw try await self.error(response, action)
        }
    }

    private static func write(_ buffer: ByteBuffer, _ writer: BlobWriter) async throws {
        guard buffer.readableBytes > 0 else { return }
        try await NIOThreadPool.singleton.runIfActive {
            try buffer.withUnsafeReadableBytes { try writer.write($0) }
        }
    }

    /// Exactly as many bytes as the descriptor says, whatever breaks between. The digest is the sink's to check.
    private func streamBlob(
        _ repository: RepositoryName,
        _ descriptor: Descriptor,
        _ sink: (ByteBuffer) async throws -> Void
    ) async throws {
        var download = BlobDownload(client: self, repository: repository, descriptor: descriptor)
        while let piece = try await download.next() { try await sink(piece) }
    }
}
