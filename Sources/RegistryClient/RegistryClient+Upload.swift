// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import Logging
import NIOCore
import NIOHTTP1
package import OCI

/// What it took to get a blob into a repository.
package enum BlobUploadOutcome: Sendable, Hashable {
    /// It was there.
    case existed
    /// The registry took it from another repository of its own.
    case mounted
    /// It was sent.
    case uploaded
}

/// Where the bytes of an upload come from.
package enum BlobContent: Sendable {
    /// A part of a file.
    case file(FileRange)
    /// Another registry, or another repository of this one.
    case transfer(BlobTransfer)

    func body(from offset: Int64, _ progress: @escaping @Sendable (Int) -> Void) -> RegistryRequest.Body {
        switch self {
        case .file(let range): .file(range, from: offset, progress: progress)
        case .transfer(let transfer): .transfer(transfer, from: offset)
        }
    }

    /// Why the bytes cannot be had. To send them again is in vain then.
    var failure: (any Error)? {
        switch self {
        case .file: nil
        case .transfer(let transfer): transfer.failure
        }
    }
}

extension RegistryClient {
    /// Blobs up to this size go in one request, larger ones so that they can be taken up again.
    private static let singleRequestSize: Int64 = 1 << 20
    /// How many bytes an attempt has to bring to count as one that went well.
    private static let worthwhileSize: Int64 = 64 << 10

    /// Puts a blob into a repository, if it is not there yet.
    /// - Parameters:
    ///   - repository: where to.
    ///   - descriptor: digest and size.
    ///   - content: where the bytes are.
    ///   - source: another repository of this registry that may have it.
    ///   - progress: told how many bytes of a file were sent each time.
    /// - Throws: ``RegistryError``; `digestMismatch` when the registry finds that the content is other.
    package func uploadBlob(
        _ repository: RepositoryName,
        _ descriptor: Descriptor,
        from content: BlobContent,
        mountFrom source: RepositoryName? = nil,
        progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> BlobUploadOutcome {
        let scopes = Self.scopes(repository, "pull,push")
        let head = RegistryRequest(.HEAD, "/v2/\(repository)/blobs/\(descriptor.digest)", scopes: scopes)
        if try await self.blobSize(head, descriptor.digest) != nil { return .existed }
        let upload = BlobUpload(
            client: self,
            descriptor: descriptor,
            content: content,
            scopes: scopes,
            progress: progress
        )
        var opened: RegistryResponse?
        if let source, source != repository {
            let mount = RegistryRequest(
                .POST,
                "/v2/\(repository)/blobs/uploads/?mount=\(descriptor.digest)&from=\(source)",
                scopes: scopes + Self.scopes(source, "pull"),
                isRepeatable: true
            )
            let response = try await self.send(mount)
            if response.status == .created { return .mounted }
            // Rights on the other repository may lack; that is no reason not to upload.
            if response.status == .accepted { opened = response }
        }
        var attempt = 1
        while true {
            let start = RegistryRequest(
                .POST,
                "/v2/\(repository)/blobs/uploads/" + Self.algorithmQuery(descriptor.digest),
                scopes: scopes,
                isRepeatable: true
            )
            let response = if let opened { opened } else { try await self.send(start) }
            opened = nil
            guard response.status == .accepted else {
                throw try await self.error(response, "starting the upload of \(descriptor.digest) to \(repository)")
            }
            do {
                try await upload.run(at: self.location(response))
                return .uploaded
            } catch let error as RegistryError where error.code == .unreachable || error.code == .notFound {
                // The session is gone, or cannot be taken up again: a new one.
                if let failure = content.failure { throw failure }
                guard attempt < self.configuration.maximumAttempts else { throw error }
                try await self.pause(attempt, atLeast: error.retryAfter)
                attempt += 1
            }
        }
    }

    /// Tells a registry which hash to run while the content comes, when it is not the one it runs anyway.
    private static func algorithmQuery(_ digest: Digest) -> String {
        digest.algorithm == .sha256 ? "" : "?digest-algorithm=\(digest.algorithm.rawValue)"
    }

    fileprivate func location(_ response: RegistryResponse) throws -> HTTPURL {
        guard let location = response.headers.first(name: "Location") else {
            throw RegistryError(.invalidResponse, "\(self.registry) started an upload but does not say where")
        }
        return try response.url.resolving(location, keepsTLS: true)
    }

    /// One upload session.
    private struct BlobUpload {
        let client: RegistryClient
        let descriptor: Descriptor
        let content: BlobContent
        let scopes: [String]
        let progress: @Sendable (Int) -> Void

        func run(at location: HTTPURL) async throws {
            if self.descriptor.size <= RegistryClient.singleRequestSize {
                let body = self.content.body(from: 0, self.progress)
                try await self.close(location, self.descriptor.size > 0 ? body : .none)
            } else {
                try await self.close(self.sendAll(to: location), .none)
            }
        }

        /// Sends the content, going on after cuts where the registry says it has got to.
        private func sendAll(to location: HTTPURL) async throws -> HTTPURL {
            var location = location
            var offset: Int64 = 0
            var attempt = 1
            var counted: Int64 = 0
            while offset < self.descriptor.size {
                do {
                    location = try await self.patch(location, offset)
                    return location
                } catch let error as RegistryError where error.code == .unreachable {
                    if let failure = self.content.failure { throw failure }
                    guard attempt < self.client.configuration.maximumAttempts else { throw error }
                    try await self.client.pause(attempt, atLeast: error.retryAfter)
                    (location, offset) = try await self.state(location)
                    // Attempts begin anew with each piece worth it: one that breaks off at every byte comes to an end.
                    attempt = offset - counted >= RegistryClient.worthwhileSize ? 1 : attempt + 1
                    if attempt == 1 { counted = offset }
                    self.client.logger.debug(
                        "upload was cut off",
                        metadata: ["digest": "\(self.descriptor.digest)", "at": "\(offset)"]
                    )
                }
            }
            return location
        }

        private func patch(_ location: HTTPURL, _ offset: Int64) async throws -> HTTPURL {
            var request = RegistryRequest(
                .PATCH,
                .url(location),
                scopes: self.scopes,
                headers: ["Content-Type": "application/octet-stream"],
                body: self.content.body(from: offset, self.progress)
            )
            if offset > 0 {
                request.headers.add(name: "Content-Range", value: "\(offset)-\(self.descriptor.size - 1)")
            }
            let response = try await self.client.send(request)
            guard response.status == .accepted || response.status == .noContent || response.status == .created else {
                let error = try await self.client.error(response, "sending \(self.descriptor.digest)")
                // A server that is overloaded or lost track keeps what it has; so does the session.
                let isRecoverable =
                    RegistryClient.isTemporary(response.status) || response.status == .rangeNotSatisfiable
                throw isRecoverable ? error.recoverable : error
            }
            return try self.client.location(response)
        }

        /// Where the registry has got to: `Range: 0-<last byte>`, in which `0-0` may mean nothing or one byte.
        private func state(_ location: HTTPURL) async throws -> (HTTPURL, Int64) {
            let response = try await self.client.send(RegistryRequest(.GET, .url(location), scopes: self.scopes))
            guard response.status == .noContent || response.status == .accepted || response.status == .ok else {
                throw try await self.client.error(response, "taking up the upload of \(self.descriptor.digest)")
            }
            let next = response.headers.first(name: "Location") == nil ? location : try self.client.location(response)
            let last = response.headers.first(name: "Range").flatMap { field in
                field.split(separator: "-").last.flatMap { Int64($0) }
            }
            guard let last, last >= 0, last < self.descriptor.size else {
                throw RegistryError(
                    .unreachable,
                    "\(self.client.registry) does not say how much of \(self.descriptor.digest) it has"
                )
            }
            guard last > 0 else {
                // One byte cannot be told from none: begin anew.
                throw RegistryError(.unreachable, "\(self.client.registry) has nothing of \(self.descriptor.digest)")
            }
            return (next, last + 1)
        }

        private func close(_ location: HTTPURL, _ body: RegistryRequest.Body) async throws {
            let request = RegistryRequest(
                .PUT,
                .url(location.adding("digest", self.descriptor.digest.description)),
                scopes: self.scopes,
                headers: ["Content-Type": "application/octet-stream"],
                body: body
            )
            let response = try await self.client.send(request)
            guard response.status == .created || response.status == .noContent || response.status == .ok else {
                let error = try await self.client.error(response, "completing the upload of \(self.descriptor.digest)")
                if RegistryClient.isTemporary(response.status) { throw error.recoverable }
                throw error.code == .rejected("DIGEST_INVALID") ? RegistryError(.digestMismatch, error.message) : error
            }
        }
    }
}

extension RegistryError {
    /// The same as something to be tried again.
    fileprivate var recoverable: RegistryError {
        RegistryError(.unreachable, self.message, retryAfter: self.retryAfter)
    }
}
