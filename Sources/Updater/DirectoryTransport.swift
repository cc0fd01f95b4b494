// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import HTTPAccess

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A repository in directories of this machine, laid out as a static web server would serve them: a slash in the name of a role
/// is a directory.
public struct DirectoryTransport: RepositoryTransport {
    private let metadata: String
    private let targets: String

    /// The most bytes that are read at once.
    private static let pieceSize = 256 << 10

    /// Takes the two directories. Nothing is read yet.
    /// - Parameters:
    ///   - metadata: the directory of the metadata.
    ///   - targets: that of the targets.
    public init(metadata: String, targets: String) {
        self.metadata = metadata
        self.targets = targets
    }

    /// Hands out a file in pieces of at most 256 KiB.
    /// - Throws: ``TransportError``; what the sink throws.
    public func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws {
        var position = offset
        var path: String?
        while true {
            let (known, at) = (path, position)
            let piece = try await BlockingWork.run { () -> (path: String, bytes: [UInt8], size: Int64) in
                try self.read(file, known, at: at)
            }
            guard piece.size <= limit else {
                throw TransportError(.tooLarge, "\(piece.path) has more than the \(limit) bytes that are expected")
            }
            guard !piece.bytes.isEmpty else { return }
            path = piece.path
            position += Int64(piece.bytes.count)
            try await sink(piece.bytes)
        }
    }

    private func read(
        _ file: RepositoryFile,
        _ known: String?,
        at position: Int64
    ) throws -> (path: String, bytes: [UInt8], size: Int64) {
        for path in known.map({ [$0] }) ?? self.paths(of: file) {
            do {
                let (bytes, size) = try Self.read(path, at: position)
                return (path, bytes, size)
            } catch let error as FileSystemError where [ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG].contains(error.number) {
                continue
            } catch let error as FileSystemError {
                throw TransportError(.unreachable, error.description)
            }
        }
        throw TransportError(.notFound, "the repository has no \(file.urlPath)")
    }

    /// Where the file may be: under its encoded name, or where a server looks after decoding it.
    private func paths(of file: RepositoryFile) -> [String] {
        let base =
            switch file {
            case .metadata: self.metadata
            case .target: self.targets
            }
        let encoded = "\(base)/\(file.urlPath)"
        let plain = file.segments.joined(separator: "/")
        guard plain != file.urlPath, (try? TargetPath(plain)) != nil else { return [encoded] }
        return [encoded, "\(base)/\(plain)"]
    }

    private static func read(_ path: String, at position: Int64) throws -> (bytes: [UInt8], size: Int64) {
        let descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        defer { close(descriptor) }
        var status = stat()
        try systemCall("examine", path) { fstat(descriptor, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileSystemError(operation: "read", path: path, reason: .notRegular)
        }
        var buffer = [UInt8](repeating: 0, count: Self.pieceSize)
        let count = try systemCall("read", path) { pread(descriptor, &buffer, buffer.count, off_t(position)) }
        return (Array(buffer[..<count]), Int64(status.st_size))
    }
}
