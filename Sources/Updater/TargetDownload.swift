// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import TUF

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension TrustedRepository {
    /// Downloads a target into a directory, under one name for its whole path: two targets never have the same.
    ///
    /// - Parameters:
    ///   - target: what ``find(_:)`` or ``list()`` gave.
    ///   - directory: where to; it is made if it is not there.
    ///   - progress: is told how many bytes are there, of as many as `target.file.length` says.
    /// - Returns: the file.
    /// - Throws: as ``download(_:to:progress:)``.
    @discardableResult
    public func download(
        _ target: TargetInfo,
        into directory: String,
        progress: (Int64) -> Void = { _ in }
    ) async throws -> String {
        let path = "\(directory)/\(target.path.fileName)"
        try await self.download(target, to: path, progress: progress)
        return path
    }

    /// Downloads a target to a file (specification section 5.7). Nothing is ever there under that name but what has the length
    /// and every hash that are listed; a file that does already is left as it is, without a request.
    ///
    /// What has come when the connection breaks, or the task is cancelled, is kept beside it under a hidden name, and the next
    /// download goes on there. The file is durable when this returns.
    /// - Parameters:
    ///   - target: what ``find(_:)`` or ``list()`` gave.
    ///   - path: where to; the directory is made if it is not there.
    ///   - progress: is told how many bytes are there, of as many as `target.file.length` says. They are not verified before
    ///     the last one is.
    /// - Throws: ``UpdaterError`` with code `contentMismatch`, `unreachable`, `storage`, or `notSigned` when the repository
    ///   lacks the file.
    public func download(
        _ target: TargetInfo,
        to path: String,
        progress: (Int64) -> Void = { _ in }
    ) async throws {
        let verifier = try self.verifier(of: target)
        if try await self.updater.storing({ try await Self.holds(path, verifier) }) {
            progress(target.file.length)
            return
        }
        try self.requireRepository(for: target)
        let partial = try await self.updater.storing {
            try await BlockingWork.run { try PartialFile(for: path, of: target.file, verifier) }
        }
        defer { partial.close() }
        do {
            try await self.fill(partial, target, progress)
        } catch let error as UpdaterError where error.code == .contentMismatch && partial.wasResumed {
            // What was there may have been damaged, or of another file: once more, from the start.
            try await self.updater.storing { try await BlockingWork.run { try partial.restart() } }
            try await self.fill(partial, target, progress)
        }
    }

    /// Downloads a target into memory.
    ///
    /// - Parameters:
    ///   - target: what ``find(_:)`` or ``list()`` gave.
    ///   - limit: the most bytes to take. A target that lists more is not asked for.
    /// - Throws: ``UpdaterError`` with code `tooLarge`, `contentMismatch`, `unreachable`, or `notSigned` when the repository
    ///   lacks the file.
    public func content(of target: TargetInfo, limit: Int) async throws -> [UInt8] {
        var verifier = try self.verifier(of: target)
        guard target.file.length <= limit else {
            throw UpdaterError(
                .tooLarge,
                "\(target.path) has \(target.file.length) bytes, and no more than \(limit) are to be held in memory"
            )
        }
        try self.requireRepository(for: target)
        var content: [UInt8] = []
        do {
            try await self.updater.transport.stream(self.file(target), from: 0, limit: target.file.length) { piece in
                try piece.withUnsafeBytes { try verifier.update($0) }
                content += piece
            }
            try verifier.finish()
        } catch {
            throw Self.failure(error, target)
        }
        return content
    }

    /// Whether a file is there that has the length and every hash that are listed, as a download would leave it.
    /// - Parameters:
    ///   - target: what ``find(_:)`` or ``list()`` gave.
    ///   - path: the file.
    /// - Throws: ``UpdaterError`` with code `storage` when it cannot be read.
    public func isDownloaded(_ target: TargetInfo, at path: String) async throws -> Bool {
        let verifier = try self.verifier(of: target)
        return try await self.updater.storing { try await Self.holds(path, verifier) }
    }

    private func verifier(of target: TargetInfo) throws -> ContentVerifier {
        do {
            return try ContentVerifier(target.file, format: self.trusted.format)
        } catch {
            throw Self.failure(error, target)
        }
    }

    private func requireRepository(for target: TargetInfo) throws {
        guard !self.isFromRepository else { return }
        throw UpdaterError(.unreachable, "\(target.path) is not here, and the repository is not to be asked")
    }

    private func fill(_ partial: PartialFile, _ target: TargetInfo, _ progress: (Int64) -> Void) async throws {
        do {
            try await self.updater.storing {
                try await self.updater.transport.stream(
                    self.file(target),
                    from: partial.count,
                    limit: target.file.length
                ) { piece in
                    try await BlockingWork.run { try partial.append(piece) }
                    progress(partial.count)
                }
                try await BlockingWork.run { try partial.publish() }
            }
        } catch {
            let failure = Self.failure(error, target)
            if let failure = failure as? UpdaterError, failure.code == .contentMismatch { partial.discard() }
            throw failure
        }
    }

    /// What the failure of a transport, or of content to be what it should, is to the caller.
    private static func failure(_ error: any Error, _ target: TargetInfo) -> any Error {
        switch error {
        case let error as TUFError: UpdaterError(.contentMismatch, "\(target.path): \(error)", refusal: error)
        case let error as TransportError:
            switch error.code {
            case .notFound:
                UpdaterError(.notSigned, "the repository lists \(target.path), but does not have it: \(error.message)")
            case .tooLarge, .changed: UpdaterError(.contentMismatch, "\(target.path): \(error.message)")
            case .unreachable: UpdaterError(.unreachable, error.message)
            }
        default: error
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
