// SPDX-License-Identifier: Apache-2.0

import OCI
import Synchronization

/// Tells how far a copy is.
package final class CopyProgress: Sendable {
    private let current = Mutex(CopyState())

    package init() {}

    /// How far it is now.
    package var state: CopyState { self.current.withLock { $0 } }

    func update(_ change: (inout CopyState) -> Void) {
        self.current.withLock { change(&$0) }
    }
}

/// What happens to one repository, each thing counted once.
final class CopyTally: Sendable {
    private enum Kind: Hashable {
        case manifest
        case blob
    }

    private struct Key: Hashable {
        let kind: Kind
        let digest: Digest
    }

    private struct State {
        var report: CopyReport.Repository
        var done = RecentValues<Key, Bool>(limit: 20_000)
    }

    private let state: Mutex<State>
    private let progress: CopyProgress

    init(_ source: RepositoryName, _ destination: RepositoryName, _ progress: CopyProgress) {
        self.state = Mutex(State(report: .init(source: source, destination: destination)))
        self.progress = progress
    }

    var report: CopyReport.Repository { self.state.withLock { $0.report } }

    func hasBlob(_ digest: Digest) -> Bool {
        self.state.withLock { $0.done[Key(kind: .blob, digest: digest)] != nil }
    }

    func note(_ outcome: BlobUploadOutcome, _ blob: Descriptor) {
        self.state.withLock { state in
            guard state.done.note(Key(kind: .blob, digest: blob.digest), true) else { return }
            switch outcome {
            case .existed: state.report.skipped.blobs += 1
            case .mounted:
                state.report.copied.blobs += 1
                state.report.mounted += 1
            case .uploaded: state.report.copied.blobs += 1
            }
        }
        self.progress.update { $0.blobs += 1 }
    }

    func note(bytes count: Int) {
        self.note(bytes: Int64(count))
    }

    func note(bytes count: Int64) {
        self.state.withLock { $0.report.bytes &+= count }
        self.progress.update { $0.bytes &+= count }
    }

    func note(manifest digest: Digest, existed: Bool) {
        self.state.withLock { state in
            guard state.done.note(Key(kind: .manifest, digest: digest), true) else { return }
            if existed { state.report.skipped.manifests += 1 } else { state.report.copied.manifests += 1 }
        }
    }

    func note(tagExisted existed: Bool) {
        self.state.withLock { state in
            if existed { state.report.skipped.tags += 1 } else { state.report.copied.tags += 1 }
        }
        self.progress.update { $0.finishedTags += 1 }
    }

    func fail(_ image: String, _ error: any Error, tags: Int = 0) {
        self.state.withLock { $0.report.failures.append(.init(image: image, error: error)) }
        self.progress.update { state in
            state.failures += 1
            state.finishedTags += tags
        }
    }
}
