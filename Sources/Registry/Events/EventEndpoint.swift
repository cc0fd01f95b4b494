// SPDX-License-Identifier: Apache-2.0

package import HTTPAccess
package import OCI

/// What happens to content, in the words of docker-registry's notifications.
package enum EventAction: String, Sendable, Hashable, CaseIterable, Codable {
    case push
    case pull
    case mount
    case delete
}

/// Who is told of what.
package struct EventEndpoint: Sendable {
    /// What the queue, the log and the metrics call it. Whoever has the same name goes on with the same queue.
    package let name: String
    package let url: HTTPURL
    /// Sent with each request, such as `Authorization`.
    package var headers: [(name: String, value: String)] = []
    /// How long a request may take.
    package var timeout: Duration = .seconds(5)
    /// After how many failures in a row it is left alone for a while.
    package var threshold = 3
    /// How long it is left alone then. Doubled with each further failure.
    package var backoff: Duration = .seconds(1)
    /// What it is not told of.
    package var ignoredActions: Set<EventAction> = []
    /// The kinds of content that it is not told of, such as `application/octet-stream` for blobs.
    package var ignoredMediaTypes: Set<String> = []
    /// The repositories that it is told of; all when there are none.
    package var repositories: [NamePattern] = []

    package init(name: String, url: HTTPURL) {
        self.name = name
        self.url = url
    }

    func wants(_ action: EventAction, _ mediaType: String?, of repository: RepositoryName) -> Bool {
        guard !self.ignoredActions.contains(action) else { return false }
        if let mediaType, self.ignoredMediaTypes.contains(mediaType) { return false }
        return self.repositories.isEmpty || self.repositories.contains { $0.matches(repository.description) }
    }
}
