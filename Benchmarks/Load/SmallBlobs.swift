// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import OCI

/// Uploads small blobs that the server has not seen, each in two requests: POST to begin, PUT with the bytes.
struct SmallBlobs: Conversation {
    private let repository: String
    private var blobs: ArraySlice<(digest: Digest, content: ByteBuffer)>
    private var begun: (digest: Digest, content: ByteBuffer)?

    /// - Parameter run: tells the bytes of one run from another's.
    init(count: Int, size: Int, repository: String, run: String, connection: Int) {
        self.repository = repository
        self.blobs =
            (0..<count).map { number in
                var content = Array("\(run) \(connection) \(number) ".utf8)
                var generator = SystemRandomNumberGenerator()
                while content.count < size {
                    withUnsafeBytes(of: generator.next()) { content.append(contentsOf: $0) }
                }
                content.removeLast(content.count - size)
                return (Digest(hashing: content), ByteBuffer(bytes: content))
            }[...]
    }

    mutating func next(after reply: LoadReply?) throws -> LoadRequest? {
        if let blob = self.begun, let reply {
            if reply.status == 202 { return try self.upload(blob, to: reply) }
            guard reply.headers.first(name: "docker-content-digest") == blob.digest.description else {
                throw LoadError("the server did not confirm \(blob.digest)")
            }
        }
        self.begun = self.blobs.popFirst()
        guard self.begun != nil else { return nil }
        return LoadRequest(
            method: .POST,
            path: "/v2/\(self.repository)/blobs/uploads/",
            expectedStatus: 202,
            endsOperation: false
        )
    }

    private func upload(_ blob: (digest: Digest, content: ByteBuffer), to reply: LoadReply) throws -> LoadRequest {
        guard let location = reply.headers.first(name: "location").flatMap({ URLComponents(string: $0) }) else {
            throw LoadError("the server began an upload without a Location")
        }
        let query = location.percentEncodedQuery.map { $0 + "&" } ?? ""
        return LoadRequest(
            method: .PUT,
            path: "\(location.percentEncodedPath)?\(query)digest=\(blob.digest)",
            headers: ["content-type": "application/octet-stream"],
            body: blob.content,
            expectedStatus: 201,
            beginsOperation: false
        )
    }
}
