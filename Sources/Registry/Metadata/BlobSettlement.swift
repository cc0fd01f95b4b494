// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import Logging
import OCI

/// Makes bytes whose digest was proven a blob of a repository. Those that are there already stay, and the others go.
struct BlobSettlement: Sendable {
    enum Outcome: Sendable, Equatable {
        /// The blob was there.
        case known
        /// It was not, and is now at this location.
        case added(BlobLocation)
        /// Somebody else was faster: these bytes are gone.
        case superseded
    }

    let store: RegistryStore
    let blobs: any BlobStore
    /// Tells the process that serves; nil in that process.
    let foreign: ForeignChanges?
    let clock: @Sendable () -> Date
    /// Is told what is left for the collector; nil where nobody listens.
    let logger: Logger?

    private var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    /// What the database says of a blob whose bytes are there.
    /// - Parameter size: How many bytes it must have; nil when that is not known.
    func known(_ digest: Digest, size: Int64?) async throws -> (blob: StoredBlob?, isThere: Bool) {
        guard let known = try await self.store.blob(digest) else { return (nil, false) }
        guard size == nil || size == known.size else { return (known, false) }
        return (known, try await self.blobs.size(at: known.location) == known.size)
    }

    /// - Parameters:
    ///   - size: How many bytes it has; nil when that is known only when they are placed.
    ///   - place: Makes the bytes durable at a location of their own.
    /// - Throws: `DatabaseError`, what the storage and `place` throw.
    func settle(
        _ digest: Digest,
        size: Int64?,
        in repository: RepositoryName,
        placing place: () async throws -> (location: BlobLocation, size: Int64)
    ) async throws -> Outcome {
        let (known, isThere) = try await self.known(digest, size: size)
        if isThere, let known {
            let isLinked = try await self.changing {
                try await self.store.linkBlob(digest, known, to: repository, at: self.now)
            }
            if isLinked { return .known }
        }
        let start = ContinuousClock.now
        let placed = try await place()
        // When this fails it may still have been done: the bytes stay, and the collector finds them if no row names them.
        let kept = try await self.changing {
            try await self.store.addBlob(
                digest,
                size: placed.size,
                at: placed.location,
                insteadOf: known?.location,
                to: repository,
                time: self.now
            )
        }
        guard kept == placed.location else {
            await self.remove(placed.location)
            return .superseded
        }
        if ContinuousClock.now - start >= .seconds(1) { try await self.verify(digest, placed) }
        return .added(kept)
    }

    /// Bytes that nothing named for a while may have been swept away as leftovers just before.
    private func verify(_ digest: Digest, _ placed: (location: BlobLocation, size: Int64)) async throws {
        guard try await self.blobs.size(at: placed.location) != placed.size else { return }
        let lost = ScrubbedBlob(
            digest: digest.description,
            size: placed.size,
            location: placed.location.description,
            isDamaged: false
        )
        _ = try await self.changing { try await self.store.noteDamaged(lost, at: self.now) }
        throw DatabaseError(code: .serializationFailure, message: "the bytes of \(digest) were removed meanwhile")
    }

    /// Removes bytes that no row names. If that fails the collector does it later.
    private func remove(_ location: BlobLocation) async {
        do {
            try await self.blobs.remove(at: location)
        } catch {
            self.logger?.warning("bytes without a blob stay", metadata: ["at": "\(location)", "error": "\(error)"])
        }
    }

    private func changing<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        guard let foreign else { return try await body() }
        return try await foreign.change(body)
    }
}
