// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOHTTP1
import OCI

/// A blob on its way here, piece by piece: exactly as many bytes as its descriptor says, whatever breaks between.
///
/// After a broken connection it goes on where it stopped. The digest is the taker's to check.
struct BlobDownload {
    private let client: RegistryClient
    private let repository: RepositoryName
    private let descriptor: Descriptor
    /// How many bytes are here.
    private var received: Int64
    private var reader: RegistryResponse.Reader?
    /// How many of the coming bytes are here already: a registry without ranges sends them once more.
    private var repeated: Int64 = 0
    private var attempt = 1
    /// Where the present attempt began.
    private var begun: Int64

    /// - Parameters:
    ///   - client: where from.
    ///   - repository: the repository there.
    ///   - descriptor: digest and size.
    ///   - offset: the first byte that is wanted.
    init(client: RegistryClient, repository: RepositoryName, descriptor: Descriptor, from offset: Int64 = 0) {
        self.client = client
        self.repository = repository
        self.descriptor = descriptor
        self.received = offset
        self.begun = offset
    }

    /// The next piece, never empty; nil when the whole blob has been handed out.
    /// - Throws: ``RegistryError``; `digestMismatch` as soon as there is more than the descriptor says.
    @concurrent mutating func next() async throws -> ByteBuffer? {
        while true {
            do {
                if let piece = try await self.piece() { return piece }
                guard self.received < self.descriptor.size else { return nil }
                throw RegistryError(
                    .unreachable,
                    "\(self.client.registry) sent \(self.received) of the \(self.descriptor.size) bytes of "
                        + "\(self.descriptor.digest)"
                )
            } catch let error as RegistryError where error.code == .unreachable {
                // All of it came before the connection broke.
                if self.reader != nil, self.received == self.descriptor.size { return nil }
                self.reader = nil
                // A registry that cuts off after each byte must not keep its client for ever either.
                if self.received - self.begun >= Int64(self.client.configuration.minimumBytesPerWindow) {
                    self.attempt = 1
                }
                guard self.attempt < self.client.configuration.maximumAttempts else { throw error }
                self.client.logger.debug(
                    "blob was cut off",
                    metadata: ["digest": "\(self.descriptor.digest)", "at": "\(self.received)"]
                )
                try await self.client.pause(self.attempt)
                self.attempt += 1
                self.begun = self.received
            }
        }
    }

    /// The next piece of what the registry is sending; nil when it has ended.
    @concurrent private mutating func piece() async throws -> ByteBuffer? {
        if self.reader == nil { self.reader = try await self.request() }
        while var piece = try await self.reader?.next() {
            let known = Int(min(self.repeated, Int64(piece.readableBytes)))
            piece.moveReaderIndex(forwardBy: known)
            self.repeated -= Int64(known)
            guard Int64(piece.readableBytes) <= self.descriptor.size - self.received else {
                throw RegistryError(
                    .digestMismatch,
                    "\(self.client.registry) sent more than the \(self.descriptor.size) bytes of the blob "
                        + "\(self.descriptor.digest)"
                )
            }
            guard piece.readableBytes > 0 else { continue }
            self.received += Int64(piece.readableBytes)
            return piece
        }
        return nil
    }

    @concurrent private mutating func request() async throws -> RegistryResponse.Reader {
        var request = RegistryRequest(
            .GET,
            "/v2/\(self.repository)/blobs/\(self.descriptor.digest)",
            scopes: RegistryClient.scopes(self.repository, "pull")
        )
        if self.received > 0 { request.headers.add(name: "Range", value: "bytes=\(self.received)-") }
        let response = try await self.client.send(request)
        switch response.status {
        case .ok:
            self.repeated = self.received
            try self.checkLength(response, self.descriptor.size)
        case .partialContent where self.received > 0:
            self.repeated = 0
            let range = "bytes \(self.received)-\(self.descriptor.size - 1)/\(self.descriptor.size)"
            guard response.headers.first(name: "Content-Range") == range else {
                throw RegistryError(
                    .invalidResponse,
                    "\(self.client.registry) sent another part of \(self.descriptor.digest) than \(range)"
                )
            }
            try self.checkLength(response, self.descriptor.size - self.received)
        default:
            throw try await self.client.error(response, "fetching the blob \(self.descriptor.digest)")
        }
        return response.makeReader()
    }

    private func checkLength(_ response: RegistryResponse, _ expected: Int64) throws {
        guard let length = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }), length != expected
        else {
            return
        }
        throw RegistryError(
            .digestMismatch,
            "\(self.client.registry) announces \(length) bytes of \(self.descriptor.digest), \(expected) are expected"
        )
    }
}
