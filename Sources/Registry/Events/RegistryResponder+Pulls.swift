// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import OCI
import TokenAuthentication

extension RegistryResponder {
    /// Takes note of a request that hands out content, for those who want to know of pulls. HEAD, what the client has already
    /// and the later parts of a blob are no pulls.
    func notePull(_ request: HTTPRequest, _ response: HTTPResponse) {
        guard let events = self.store.events, request.method == .GET, let path = try? RegistryPath(request.path),
            var subject = Self.pull(path, response)
        else { return }
        if events.configuration.includesReferences, case .manifest = path, case .bytes(let content) = response.body {
            subject.references = (try? Manifest(parsing: content.readableBytesView, mediaType: nil))?.references
        }
        events.notePull(subject)
    }

    /// The same for an answer from memory, which no origin has been set for.
    func notePull(_ request: HTTPRequest, _ response: HTTPResponse, caller: Caller?) {
        guard let proxies = self.store.events?.configuration.trustedProxies, request.method == .GET else { return }
        EventOrigin.$current.withValue(EventOrigin(request, actor: caller?.subject, proxies: proxies)) {
            self.notePull(request, response)
        }
    }

    private static func pull(_ path: RegistryPath, _ response: HTTPResponse) -> EventSubject? {
        guard let digest = response.headers.first(name: "docker-content-digest").flatMap({ try? Digest($0) }) else {
            return nil
        }
        switch path {
        case .manifest(let name, let reference):
            guard response.status == .ok, case .bytes(let content) = response.body else { return nil }
            var subject = EventSubject(action: .pull, repository: name, digest: digest)
            subject.mediaType = response.headers.first(name: "content-type")
            subject.size = Int64(content.readableBytes)
            if case .tag(let tag) = reference { subject.tag = tag }
            return subject
        case .blob(let name, _):
            switch response.status {
            case .ok: return .blob(.pull, digest, size: Self.length(response.body), in: name)
            case .partialContent:
                let range = response.headers.first(name: "content-range") ?? ""
                guard range.hasPrefix("bytes 0-") else { return nil }
                let size = range.split(separator: "/").last.flatMap { Int64($0) }
                return .blob(.pull, digest, size: size, in: name)
            default: return nil
            }
        default: return nil
        }
    }

    private static func length(_ body: HTTPResponse.Body) -> Int64? {
        switch body {
        case .empty: 0
        case .bytes(let buffer): Int64(buffer.readableBytes)
        case .file(let file): file.range.upperBound - file.range.lowerBound
        case .stream(let length, _): length
        case .absent(let length): length
        }
    }
}
