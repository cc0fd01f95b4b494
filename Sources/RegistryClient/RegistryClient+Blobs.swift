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
        var received: Int64 = 0
        var attempt = 1
        repeat {
            let before = received
            do {
                try await self.streamPart(repository, descriptor, &received, sink)
                guard received < descriptor.size else { return }
                throw RegistryError(
                    .unreachable,
                    "\(self.registry) sent \(received) of the \(descriptor.size) bytes of \(descriptor.digest)"
                )
            } catch let error as RegistryError where error.code == .unreachable {
                // A registry that cuts off after each byte must not keep its client for ever either.
                if received - before >= Int64(self.configuration.minimumBytesPerWindow) { attempt = 1 }
                guard attempt < self.configuration.maximumAttempts else { throw error }
                self.logger.debug(
                    "blob was cut off",
                    metadata: ["digest": "\(descriptor.digest)", "at": "\(received)"]
                )
                try await self.pause(attempt)
                attempt += 1
            }
        } while true
    }

    private func streamPart(
        _ repository: RepositoryName,
        _ descriptor: Descriptor,
        _ received: inout Int64,
        _ sink: (ByteBuffer) async throws -> Void
    ) async throws {
        var request = RegistryRequest(
            .GET,
            "/v2/\(repository)/blobs/\(descriptor.digest)",
            scopes: Self.scopes(repository, "pull")
        )
        if received > 0 { request.headers.add(name: "Range", value: "bytes=\(received)-") }
        let response = try await self.send(request)
        var skipped: Int64 = 0
        switch response.status {
        case .ok:
            // A registry without ranges sends what is here already once more.
            skipped = received
            try self.checkLength(response, descriptor.size, descriptor)
        case .partialContent where received > 0:
            let range = "bytes \(received)-\(descriptor.size - 1)/\(descriptor.size)"
            guard response.headers.first(name: "Content-Range") == range else {
                throw RegistryError(
                    .invalidResponse,
                    "\(self.registry) sent another part of \(descriptor.digest) than \(range)"
                )
            }
            try self.checkLength(response, descriptor.size - received, descriptor)
        default:
            throw try await self.error(response, "fetching the blob \(descriptor.digest)")
        }
        try await response.read { piece in
            var buffer = piece
            let repeated = Int(min(skipped, Int64(buffer.readableBytes)))
            buffer.moveReaderIndex(forwardBy: repeated)
            skipped -= Int64(repeated)
            guard Int64(buffer.readableBytes) <= descriptor.size - received else {
                throw RegistryError(
                    .digestMismatch,
                    "\(self.registry) sent more than the \(descriptor.size) bytes of the blob \(descriptor.digest)"
                )
            }
            guard buffer.readableBytes > 0 else { return }
            try await sink(buffer)
            received += Int64(buffer.readableBytes)
        }
    }

    private func checkLength(_ response: RegistryResponse, _ expected: Int64, _ descriptor: Descriptor) throws {
        guard let length = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }), length != expected
        else {
            return
        }
        throw RegistryError(
            .digestMismatch,
            "\(self.registry) announces \(length) bytes of \(descriptor.digest), \(expected) are expected"
        )
    }
}
