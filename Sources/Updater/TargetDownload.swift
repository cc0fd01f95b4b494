// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import NIOCore
import TUF

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension TrustedRepository {
    /// Downloads a target into a directory, under one name for its whole path.
    /// - Returns: the file.
    /// - Throws: as ``download(_:to:)``.
    @discardableResult
    package func download(_ target: TargetInfo, into directory: String) async throws -> String {
        let path = "\(directory)/\(target.path.fileName)"
        try await self.download(target, to: path)
        return path
    }

    /// Downloads a target to a file. Nothing is ever there under that name but what matches every hash that is listed; a file
    /// that does already is left as it is, without a request.
    ///
    /// What has come when the connection breaks is kept beside it, under a hidden name, and the next download goes on there.
    /// - Throws: ``UpdaterError`` with code `contentMismatch`, `unreachable`, `storage`, or `notSigned` when the repository
    ///   lacks the file.
    package func download(_ target: TargetInfo, to path: String) async throws {
        let verifier: ContentVerifier
        do {
            verifier = try ContentVerifier(target.file, format: self.trusted.format)
        } catch let error as TUFError {
            throw UpdaterError(.contentMismatch, "\(target.path): \(error)", refusal: error)
        }
        if try await self.updater.storing({ try await Self.holds(path, verifier) }) { return }
        guard self.isFromRepository else {
            throw UpdaterError(.unreachable, "\(target.path) is not here, and the repository is not to be asked")
        }
        let partial = try await self.updater.storing {
            try await BlockingWork.run { try PartialFile(for: path, of: target.file, verifier) }
        }
        defer { partial.close() }
        do {
            try await self.fill(partial, target)
        } catch let error as UpdaterError where error.code == .contentMismatch && partial.wasResumed {
            // What was there may have been damaged, or of another file: once more, from the start.
            try await self.updater.storing { try await BlockingWork.run { try partial.restart() } }
            try await self.fill(partial, target)
        }
    }

    private func fill(_ partial: PartialFile, _ target: TargetInfo) async throws {
        do {
            try await self.updater.storing {
                try await self.updater.transport.stream(
                    self.file(target),
                    from: partial.count,
                    limit: target.file.length
                ) {
                    let piece = $0
                    try await BlockingWork.run { try partial.append(piece) }
                }
                try await BlockingWork.run { try partial.publish() }
            }
        } catch let error as TUFError {
            partial.discard()
            throw UpdaterError(.contentMismatch, "\(target.path): \(error)", refusal: error)
        } catch let error as TransportError {
            switch error.code {
            case .notFound:
                throw UpdaterError(
                    .notSigned,
                    "the repository lists \(target.path), but does not have it: \(error.message)"
                )
            case .tooLarge, .changed:
                partial.discard()
                throw UpdaterError(.contentMismatch, "\(target.path): \(error.message)")
            case .unreachable: throw UpdaterError(.unreachable, error.message)
            }
        }
    }

    private func file(_ target: TargetInfo) -> RepositoryFile {
        let isPrefixed =
            self.updater.settings.prefixTargetsWithHash && self.trusted.root?.payload.consistentSnapshot ?? false
        let digest = target.file.hashes.sha256 ?? target.file.hashes.sha512
        return .target(target.path, hash: isPrefixed ? digest.map { Hexadecimal.encode($0) } : nil)
    }

    /// Whether a file is what it should be.
    private static func holds(_ path: String, _ verifier: ContentVerifier) async throws -> Bool {
        try await BlockingWork.run {
            var verifier = verifier
            do {
                try PartialFile.read(path) { try verifier.update($0) }
                try verifier.finish()
                return true
            } catch is TUFError {
                return false
            } catch let error as FileSystemError where error.number == ENOENT {
                return false
            }
        }
    }
}
