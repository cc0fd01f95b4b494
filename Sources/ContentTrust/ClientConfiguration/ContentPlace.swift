// SPDX-License-Identifier: Apache-2.0

package import OCI

/// Where content can be fetched by digest.
package struct ContentPlace: Sendable, Hashable, CustomStringConvertible {
    /// The registry's host, with its port if it has one.
    package let registry: String
    /// The repository in it.
    package let repository: RepositoryName

    /// Names a place.
    package init(registry: String, repository: RepositoryName) {
        self.registry = registry
        self.repository = repository
    }

    /// The place of a repository at a mirror, `HOST[:PORT][/PREFIX]`; nil for what is none.
    init?(mirror: String, of repository: RepositoryName?) {
        let parts = mirror.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first else { return nil }
        let name = (parts.count > 1 ? "\(parts[1])/" : "") + (repository?.description ?? "any")
        guard let repository = try? RepositoryName(name),
            let reference = try? ImageReference(registry: String(host), repository: repository)
        else { return nil }
        self.init(registry: reference.registry, repository: reference.repository)
    }

    /// Registry and repository.
    package var description: String { "\(self.registry)/\(self.repository)" }
}
