// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import NIOCore
import NIOHTTP1
import OCI

/// One event in docker-registry's form.
struct RegistryEvent: Encodable {
    /// The media type of what carries events.
    static let envelopeType = "application/vnd.docker.distribution.events.v2+json"

    struct Target: Encodable {
        var mediaType: String?
        var digest: String?
        var size: Int64?
        /// The same as `size`, which older receivers read.
        var length: Int64?
        let repository: String
        var fromRepository: String?
        var url: String?
        var tag: String?
        var references: [Reference]?
    }

    /// What a manifest lists.
    struct Reference: Encodable {
        let mediaType: String
        let size: Int64
        let digest: String

        init(_ descriptor: Descriptor) {
            self.mediaType = descriptor.mediaType.rawValue
            self.size = descriptor.size
            self.digest = descriptor.digest.description
        }
    }

    struct Request: Encodable {
        let id: String
        let addr: String
        let host: String
        let method: String
        let useragent: String
    }

    struct Actor: Encodable {
        let name: String?
    }

    struct Source: Encodable {
        let addr: String
        let instanceID: String
    }

    let id: String
    let timestamp: String
    let action: EventAction
    let target: Target
    let request: Request
    let actor: Actor
    let source: Source
}

/// Something that has happened, before it becomes an event.
struct EventSubject: Sendable {
    let action: EventAction
    let repository: RepositoryName
    var digest: Digest?
    var mediaType: String?
    var size: Int64?
    var tag: Tag?
    var fromRepository: RepositoryName?
    /// What a manifest lists, where that is to be told.
    var references: [Descriptor]?

    /// The media type of blobs in events.
    static let blobType = "application/octet-stream"

    static func blob(
        _ action: EventAction,
        _ digest: Digest,
        size: Int64?,
        in repository: RepositoryName
    ) -> EventSubject {
        EventSubject(action: action, repository: repository, digest: digest, mediaType: Self.blobType, size: size)
    }
}

extension ManifestPush {
    /// What there is to tell of it: once for each tag.
    var subjects: [EventSubject] {
        let subject = EventSubject(
            action: .push,
            repository: self.repository,
            digest: self.digest,
            mediaType: self.mediaType,
            size: Int64(self.content.count),
            references: self.references
        )
        guard !self.tags.isEmpty else { return [subject] }
        return self.tags.map { tag in
            var subject = subject
            subject.tag = tag
            return subject
        }
    }
}

/// The request that an event comes of.
struct EventOrigin: Sendable {
    /// Of the request that is being answered; nil for what no client has asked for.
    @TaskLocal static var current: EventOrigin?

    let id: String
    let address: String
    let host: String
    let method: String
    let userAgent: String
    let isSecure: Bool
    let actor: String?

    init(_ request: HTTPRequest, actor: String?, proxies: TrustedProxies) {
        self.id = request.id.map { "\($0)" } ?? ""
        self.address =
            request.remoteAddress.map { address in
                let port = address.port.map { ":\($0)" } ?? ""
                return (address.ipAddress ?? "") + port
            } ?? ""
        self.host = Self.bounded(request.headers.first(name: "host"))
        self.method = request.method.rawValue
        self.userAgent = Self.bounded(request.headers.first(name: "user-agent"))
        self.isSecure = proxies.isSecure(request)
        self.actor = actor
    }

    /// In bytes: one character may have any number of them.
    private static func bounded(_ text: String?) -> String {
        String(decoding: (text ?? "").utf8.prefix(512), as: UTF8.self)
    }

    /// Where a client gets content.
    func url(_ kind: String, _ digest: Digest, in repository: RepositoryName) -> String? {
        guard !self.host.isEmpty else { return nil }
        return "\(self.isSecure ? "https" : "http")://\(self.host)/v2/\(repository)/\(kind)/\(digest)"
    }
}
