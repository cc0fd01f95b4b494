// SPDX-License-Identifier: Apache-2.0

package import OCI

/// Which repositories and tags are copied: those that an inclusion names, or all when there is none, without those that an
/// exclusion names.
package struct CopyFilter: Sendable {
    /// A pattern of repositories, or, with a colon, of tags in such repositories.
    package struct Rule: Sendable, Hashable {
        let repository: NamePattern
        let tag: NamePattern?

        /// Parses `REPOSITORIES` or `REPOSITORIES:TAGS`.
        /// - Throws: `OCIError` with code `referenceInvalid`.
        package init(_ text: some StringProtocol) throws {
            if let colon = text.lastIndex(of: ":") {
                self.repository = try NamePattern(text[..<colon])
                self.tag = try NamePattern(text[text.index(after: colon)...])
            } else {
                self.repository = try NamePattern(text)
                self.tag = nil
            }
        }

        func matches(_ repository: RepositoryName, _ tag: Tag) -> Bool {
            self.repository.matches(repository.description) && (self.tag?.matches(tag.description) ?? true)
        }
    }

    private let inclusions: [Rule]
    private let exclusions: [Rule]

    package init(include inclusions: [Rule] = [], exclude exclusions: [Rule] = []) {
        self.inclusions = inclusions
        self.exclusions = exclusions
    }

    /// Whether any tag of a repository may be copied.
    func admits(_ repository: RepositoryName) -> Bool {
        let name = repository.description
        return (self.inclusions.isEmpty || self.inclusions.contains { $0.repository.matches(name) })
            && !self.exclusions.contains { $0.tag == nil && $0.repository.matches(name) }
    }

    /// Whether a tag of a repository may be copied.
    package func admits(_ repository: RepositoryName, _ tag: Tag) -> Bool {
        (self.inclusions.isEmpty || self.inclusions.contains { $0.matches(repository, tag) })
            && !self.exclusions.contains { $0.matches(repository, tag) }
    }
}
