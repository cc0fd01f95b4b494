// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import FoundationEssentials
import HTTPAccess
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
package import OCI

extension RegistryClient {
    /// The most bytes of one page.
    private static let maximumPageSize = 8 << 20
    /// The most pages that are fetched: a registry that always names another one must end somewhere.
    private static let maximumPages = 10_000
    /// The most bytes of all pages of one list: millions of names.
    private static let maximumListSize = 64 << 20
    /// The most referrers of one manifest.
    private static let maximumReferrers = 100_000

    /// All tags of a repository, in the registry's order.
    /// - Throws: ``RegistryError``, `notFound` when there is no such repository.
    package func listTags(_ repository: RepositoryName) async throws -> [Tag] {
        struct Page: Decodable {
            let tags: [String]?
        }
        var all: [Tag] = []
        try await self.pages("/v2/\(repository)/tags/list?n=1000", Self.scopes(repository, "pull")) { data in
            let page = try JSONDecoder().decode(Page.self, from: data)
            all += try (page.tags ?? []).map { try Tag($0) }
        }
        return all
    }

    /// The names of all repositories, in the registry's order.
    /// - Throws: ``RegistryError``.
    package func listRepositories() async throws -> [RepositoryName] {
        struct Page: Decodable {
            let repositories: [String]?
        }
        var all: [RepositoryName] = []
        try await self.pages("/v2/_catalog?n=1000", ["registry:catalog:*"]) { data in
            let page = try JSONDecoder().decode(Page.self, from: data)
            all += try (page.repositories ?? []).map { try RepositoryName($0) }
        }
        return all
    }

    /// What refers to a manifest, in the registry's order; nil when the registry cannot tell.
    /// - Throws: ``RegistryError``.
    package func listReferrers(_ repository: RepositoryName, _ digest: Digest) async throws -> [Descriptor]? {
        struct Page: Decodable {
            let manifests: [Descriptor]?
        }
        var all: [Descriptor] = []
        do {
            try await self.pages("/v2/\(repository)/referrers/\(digest)", Self.scopes(repository, "pull")) { data in
                all += try JSONDecoder().decode(Page.self, from: data).manifests ?? []
                guard all.count <= Self.maximumReferrers else {
                    throw RegistryError(.invalidResponse, "more than \(Self.maximumReferrers) referrers")
                }
            }
        } catch let error as RegistryError where Self.meansNoSuchList(error.code) {
            return nil
        }
        return all
    }

    /// A registry with the list has an empty one for what it does not know; others do not know the path.
    private static func meansNoSuchList(_ code: RegistryError.Code) -> Bool {
        switch code {
        case .notFound, .rejected("404"), .rejected("405"), .rejected("UNSUPPORTED"): true
        default: false
        }
    }

    private func pages(_ path: String, _ scopes: [String], _ take: (Data) throws -> Void) async throws {
        var target = RegistryRequest.Target.path(path)
        var visited: Set<HTTPURL> = []
        var size = 0
        for _ in 0..<Self.maximumPages {
            let response = try await self.send(RegistryRequest(.GET, target, scopes: scopes))
            guard response.status == .ok else { throw try await self.error(response, "listing \(path)") }
            let body = try await response.collect(upTo: Self.maximumPageSize)
            size += body.readableBytes
            guard size <= Self.maximumListSize else {
                throw RegistryError(
                    .invalidResponse,
                    "\(self.registry): \(path): a list of more than \(Self.maximumListSize) bytes"
                )
            }
            do {
                try take(Data(buffer: body))
            } catch {
                throw RegistryError(.invalidResponse, "\(self.registry): \(path): not a list of names: \(error)")
            }
            guard let next = try Self.next(response) else { return }
            guard next.origin == response.url.origin, visited.insert(next).inserted else {
                throw RegistryError(
                    .invalidResponse,
                    "\(self.registry): \(path): the next page is elsewhere or the same"
                )
            }
            target = .url(next)
        }
        throw RegistryError(.invalidResponse, "\(self.registry): \(path): more than \(Self.maximumPages) pages")
    }

    /// `Link: <…>; rel="next"`
    private static func next(_ response: RegistryResponse) throws -> HTTPURL? {
        for field in response.headers["Link"] {
            guard let open = field.firstIndex(of: "<"), let close = field.firstIndex(of: ">"), open < close else {
                continue
            }
            let relation = field[close...].lowercased()
            guard relation.contains("rel=\"next\"") || relation.contains("rel=next") else { continue }
            return try response.url.resolving(field[field.index(after: open)..<close])
        }
        return nil
    }
}
