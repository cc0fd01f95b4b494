// SPDX-License-Identifier: Apache-2.0

package import OCI
import Synchronization

/// Copies images, repositories and whole registries from one registry to another, or within one.
///
/// What the destination has is left alone, so that a copy that broke off is taken up by running it again. Content is
/// verified while it streams, blobs that the destination has in another repository are mounted from there, and a tag is set
/// when all that it names is there. What fails does not keep the rest from being copied.
package struct RegistryCopier: Sendable {
    /// What to copy, and how.
    package struct Options: Sendable {
        /// Of an image for several platforms only this one; nil for all, as they are.
        package var platform: Platform?
        /// Signatures, attestations and whatever else refers to an image come along.
        package var includesReferrers = true
        /// A tag that means something else in the destination stays as it is.
        package var keepsTags = false
        /// Says what would be done, and does nothing.
        package var isRehearsal = false
        /// How many blobs are on their way at once.
        package var concurrency = 8

        package init() {}

        /// The connections that a client needs for this, so that none has to wait for one.
        package var connections: Int { max(1, self.concurrency) * 8 + 16 }
    }

    /// How often in a row a registry may be out of reach before the rest is given up.
    private static let patience = 20

    let source: RegistryClient
    let destination: RegistryClient
    let options: Options
    let progress: CopyProgress
    let gate: TransferGate
    private let shared = Shared()

    /// What all repositories of one copy know together.
    private final class Shared: Sendable {
        struct State {
            /// Repositories of the destination that have a blob.
            var blobs = RecentValues<Digest, RepositoryName>(limit: 50_000)
            var unreachableInARow = 0
        }

        let state = Mutex(State())
    }

    /// - Parameters:
    ///   - source: where from.
    ///   - destination: where to; it may be the same registry.
    ///   - options: what to copy, and how.
    ///   - progress: told how far the copy is.
    package init(
        from source: RegistryClient,
        to destination: RegistryClient,
        options: Options = .init(),
        progress: CopyProgress = .init()
    ) {
        self.source = source
        self.destination = destination
        self.options = options
        self.progress = progress
        self.gate = TransferGate(limit: options.concurrency)
    }

    /// Copies one image, with what refers to it.
    /// - Parameters:
    ///   - reference: the image in the source.
    ///   - repository: where it is there.
    ///   - target: where to.
    ///   - tags: what to call it there; none to copy it by digest only.
    /// - Throws: `CancellationError`. What else goes wrong is in the report.
    package func copyImage(
        _ reference: Reference,
        of repository: RepositoryName,
        to target: RepositoryName,
        as tags: [Tag]
    ) async throws -> CopyReport {
        self.progress.update { state in
            state.repositories = 1
            state.tags = max(1, tags.count)
        }
        let copy = RepositoryCopy(self, repository, target, isWhole: false)
        try await copy.image(reference, as: tags)
        self.progress.update { $0.finishedRepositories = 1 }
        return CopyReport(repositories: [copy.tally.report])
    }

    /// Copies the tags of a repository.
    /// - Parameters:
    ///   - repository: where they are.
    ///   - target: where to.
    ///   - filter: which of them.
    /// - Throws: `CancellationError`. What else goes wrong is in the report.
    package func copyRepository(
        _ repository: RepositoryName,
        to target: RepositoryName,
        filter: CopyFilter = .init()
    ) async throws -> CopyReport {
        self.progress.update { $0.repositories = 1 }
        return CopyReport(
            repositories: [try await self.repository(repository, target, filter, mustExist: true)]
        )
    }

    /// Copies the tags of all repositories of the source.
    /// - Parameters:
    ///   - prefix: what goes before the repositories' names in the destination.
    ///   - filter: which repositories and tags.
    /// - Throws: `CancellationError`; ``RegistryError`` when the repositories cannot be listed. What else goes wrong is in the
    ///   report.
    package func copyRegistry(prefix: RepositoryName? = nil, filter: CopyFilter = .init()) async throws -> CopyReport {
        let names = try await self.source.listRepositories().filter { filter.admits($0) }
        self.progress.update { $0.repositories = names.count }
        let found = Mutex<[RepositoryName: CopyReport.Repository]>([:])
        try await forEachConcurrently(names, limit: max(1, self.options.concurrency / 2)) { name in
            let report: CopyReport.Repository
            do {
                let target = try prefix.map { try RepositoryName("\($0)/\(name)") } ?? name
                report = try await self.repository(name, target, filter, mustExist: false)
            } catch let error as OCIError {
                // The prefix makes its name too long.
                report = CopyReport.Repository(name, failing: error)
                self.progress.update { $0.failures += 1 }
            }
            found.withLock { $0[name] = report }
        }
        let reports = found.withLock { $0 }
        return CopyReport(repositories: names.compactMap { reports[$0] })
    }

    private func repository(
        _ name: RepositoryName,
        _ target: RepositoryName,
        _ filter: CopyFilter,
        mustExist: Bool
    ) async throws -> CopyReport.Repository {
        let copy = RepositoryCopy(self, name, target, isWhole: true)
        try await copy.tags(filter, mustExist: mustExist)
        self.progress.update { $0.finishedRepositories += 1 }
        return copy.tally.report
    }
}

// MARK: What repositories know of each other

extension RegistryCopier {
    /// A repository of the destination that has a blob.
    func knownRepository(of blob: Digest) -> RepositoryName? {
        self.shared.state.withLock { $0.blobs[blob] }
    }

    func note(_ blob: Digest, isIn repository: RepositoryName) {
        self.shared.state.withLock { _ = $0.blobs.note(blob, repository) }
    }

    /// Whether a registry has been out of reach so often that to go on is in vain.
    var isGivenUp: Bool { self.shared.state.withLock { $0.unreachableInARow >= Self.patience } }

    func note(reached: Bool) {
        self.shared.state.withLock { state in
            state.unreachableInARow = reached ? 0 : state.unreachableInARow + 1
        }
    }
}

extension CopyReport.Repository {
    fileprivate init(_ name: RepositoryName, failing error: any Error) {
        self.init(source: name, destination: name)
        self.failures = [.init(image: name.description, error: error)]
    }
}
