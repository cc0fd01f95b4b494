// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import OCI
import PercentEncoding

extension RegistryResponder {
    /// How many entries a page has unless the client asks, and at most when it does.
    private enum PageSize {
        static let tags = 10_000
        static let repositories = 100
        static let maximum = 1_000
        static let referrers = 500
        /// A page of referrers must stay smaller than a manifest may be.
        static let referrersBytes = Manifest.maximumSize - (1 << 20)
    }

    // MARK: - Tags and catalog

    private struct TagList: Encodable {
        let name: String
        let tags: [String]
    }

    func tags(_ name: RepositoryName, _ query: RegistryQuery) async throws -> HTTPResponse {
        let (limit, isAsked) = try Self.limit(query, standard: PageSize.tags)
        guard let page = try await self.store.tags(of: name, after: Self.last(query), limit: limit) else {
            throw RegistryError(
                .nameUnknown,
                "there is no repository \(name)",
                detail: ["name": name.description]
            )
        }
        let body = try await self.manifests.threads.blocking {
            RegistryJSON.encode(TagList(name: name.description, tags: page.elements))
        }
        var response = Self.json(body)
        Self.link(&response, to: "/v2/\(name)/tags/list", page, last: page.elements.last, limit: isAsked ? limit : nil)
        return response
    }

    func catalog(_ query: RegistryQuery) async throws -> HTTPResponse {
        let (limit, isAsked) = try Self.limit(query, standard: PageSize.repositories)
        let page = try await self.store.repositories(after: Self.last(query), limit: limit)
        var response = Self.json(["repositories": page.elements])
        Self.link(&response, to: "/v2/_catalog", page, last: page.elements.last, limit: isAsked ? limit : nil)
        return response
    }

    private static func last(_ query: RegistryQuery) -> String {
        // No name holds a NUL, and no database takes it.
        String((query["last"] ?? "").prefix { $0 != "\0" })
    }

    private static func limit(_ query: RegistryQuery, standard: Int) throws -> (limit: Int, isAsked: Bool) {
        guard let text = query["n"] else { return (standard, false) }
        guard let number = Int(text), number >= 0 else {
            throw RegistryError(
                .paginationNumberInvalid,
                "n must be a number that is not negative",
                detail: ["n": text]
            )
        }
        return (min(number, PageSize.maximum), true)
    }

    /// Says where the next page is. An empty page has none: it would be the same again.
    /// - Parameter limit: What the client asked for, for the next page, too; nil when it did not.
    private static func link<Element>(
        _ response: inout HTTPResponse,
        to path: String,
        _ page: RegistryStore.Page<Element>,
        last: String?,
        limit: Int?
    ) {
        guard page.hasMore, let last else { return }
        let count = limit.map { "&n=\($0)" } ?? ""
        response.headers.add(
            name: "link",
            value: "<\(path)?last=\(PercentCoding.encode(last))\(count)>; rel=\"next\""
        )
    }

    // MARK: - Referrers

    private struct ReferrerIndex: Encodable {
        let schemaVersion = 2
        let mediaType = MediaType.imageIndex.rawValue
        let manifests: [Referrer]
    }

    /// Never 404: that would mean that there is no referrers API, and clients would remember it.
    func referrers(_ name: RepositoryName, _ subject: Digest, _ query: RegistryQuery) async throws -> HTTPResponse {
        let artifactType = query["artifactType"].flatMap { $0.isEmpty ? nil : $0 }
        var page = RegistryStore.Page<Referrer>([], limit: 0)
        if artifactType?.utf8.contains(0) != true {
            page = try await self.store.referrers(
                of: subject,
                in: name,
                artifactType: artifactType,
                after: Self.last(query),
                limit: PageSize.referrers
            )
        }
        // Megabytes of annotations would hold the event loop up for everybody.
        let (shortened, body) = try await self.manifests.threads.blocking { [page] in
            var page = page
            Self.shorten(&page)
            return (page, RegistryJSON.encode(ReferrerIndex(manifests: page.elements)))
        }
        page = shortened
        var response = Self.json(body, contentType: MediaType.imageIndex.rawValue)
        if artifactType != nil { response.headers.add(name: "oci-filters-applied", value: "artifactType") }
        if page.hasMore, let last = page.elements.last {
            let filter = artifactType.map { "artifactType=\(PercentCoding.encode($0))&" } ?? ""
            response.headers.add(
                name: "link",
                value: "</v2/\(name)/referrers/\(subject)?\(filter)last=\(last.digest)>; rel=\"next\""
            )
        }
        return response
    }

    /// Leaves what is too much to the next page; at least one entry stays.
    private static func shorten(_ page: inout RegistryStore.Page<Referrer>) {
        var bytes = 0
        for (index, referrer) in page.elements.enumerated() {
            bytes += RegistryJSON.encode(referrer).readableBytes + 1
            guard bytes > PageSize.referrersBytes, index > 0 else { continue }
            page.elements.removeSubrange(index...)
            page.hasMore = true
            return
        }
    }
}
