// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import FoundationEssentials
import NIOPosix
import OCI

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What docker-registry's file-system driver has left in a directory: links by digest, and the bytes that they lead to.
struct DockerRegistryStorage: Sendable {
    /// A link is the text of a digest.
    private static let maximumLinkSize = 256
    /// The deepest that repositories may nest.
    private static let maximumDepth = 64

    /// The directory with `blobs` and `repositories`.
    let root: String
    let threads: NIOThreadPool

    /// - Parameters:
    ///   - directory: what docker-registry's configuration calls `rootdirectory`, or a directory below it.
    ///   - threads: where files are read.
    /// - Throws: ``ImportError`` when there is no such storage.
    init(directory: String, threads: NIOThreadPool) throws {
        let trimmed = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        let candidates = ["/docker/registry/v2", "/registry/v2", "/v2", ""].map { trimmed + $0 }
        guard let root = candidates.first(where: { DurableFile.isDirectory($0 + "/repositories") }) else {
            throw ImportError(
                description: "\(directory) is not docker-registry's storage: it has no docker/registry/v2/repositories"
            )
        }
        self.root = root
        self.threads = threads
    }

    /// Where the bytes of a digest are.
    func data(of digest: Digest) -> String {
        "\(self.root)/blobs/\(digest.algorithm.rawValue)/\(digest.encoded.prefix(2))/\(digest.encoded)/data"
    }

    func folder(of repository: RepositoryName) -> String { "\(self.root)/repositories/\(repository)" }

    /// Hands out all repositories, those below another one after it, and tells of directories that are none.
    func repositories(
        _ take: (RepositoryName) async throws -> Void,
        problem: (String, String) -> Void
    ) async throws {
        var waiting: [(path: String, depth: Int)] = [("", 0)]
        while let (path, depth) = waiting.popLast() {
            let folder = "\(self.root)/repositories/\(path)"
            if !path.isEmpty {
                // Symbolic links may lead in circles, or out of here.
                let status = try await self.threads.blocking { try FileStatus(path: folder) }
                guard let status, status.isDirectory else {
                    if status?.isRegular == false { problem(path, "no directory; links are not followed") }
                    continue
                }
            }
            guard let names = try await self.names(in: folder) else { continue }
            var isRepository = false
            var below: [String] = []
            while case let page = try await names.next(), !page.isEmpty {
                for name in page {
                    if name == "_manifests" || name == "_layers" {
                        isRepository = true
                    } else if !name.hasPrefix("_") {
                        let longer = path.isEmpty ? name : path + "/" + name
                        if longer.utf8.count <= RepositoryName.maximumLength {
                            below.append(longer)
                        } else {
                            problem(longer, "too long for the name of a repository")
                        }
                    }
                }
            }
            if isRepository {
                if let name = try? RepositoryName(path) {
                    try await take(name)
                } else {
                    problem(path, "no name of a repository")
                }
            }
            guard depth < Self.maximumDepth else {
                if !below.isEmpty { problem(path, "repositories nest too deep") }
                continue
            }
            waiting += below.sorted(by: >).map { ($0, depth + 1) }
        }
    }

    /// The names in a directory; nil when there is none.
    func names(in path: String) async throws -> DirectoryNames? {
        try await self.threads.blocking { [threads] in try DirectoryNames(path, threads: threads) }
    }

    /// What a link says.
    enum Link: Sendable, Equatable {
        /// When it was written, in Unix seconds.
        case digest(Digest, writtenAt: Int64)
        /// There is none.
        case missing
        /// Something else than a digest, as a crash leaves it.
        case broken(String)
    }

    func link(_ path: String) async throws -> Link {
        try await self.threads.blocking {
            let file = path + "/link"
            let status: FileStatus
            let bytes: [UInt8]
            do {
                guard let found = try FileStatus(path: file) else { return .missing }
                guard found.isRegular else { return .broken("a link that is no file") }
                guard let content = try DurableFile.read(file, limit: Self.maximumLinkSize) else { return .missing }
                (status, bytes) = (found, content)
            } catch let error as FileSystemError where error.isOfOneFile {
                return .broken(error.description)
            }
            let isBlank: (UInt8) -> Bool = { $0 <= 0x20 }
            let end = bytes.lastIndex { !isBlank($0) } ?? -1
            let text = String(decoding: bytes[..<(end + 1)].drop(while: isBlank), as: UTF8.self)
            guard !text.isEmpty else { return .broken("an empty link") }
            guard let digest = try? Digest(text) else { return .broken("a link that names no digest") }
            return .digest(digest, writtenAt: status.modifiedAt)
        }
    }

    /// The bytes of a manifest, proven to be those of its digest; nil when there are none.
    /// - Throws: ``ImportError`` when they are others, or too many.
    func manifest(_ digest: Digest) async throws -> [UInt8]? {
        try await self.threads.blocking {
            let path = self.data(of: digest)
            guard let status = try FileStatus(path: path), status.isRegular else { return nil }
            guard status.size > 0 else { throw ImportError(description: "its data is empty") }
            guard status.size <= Manifest.maximumSize,
                let bytes = try DurableFile.read(path, limit: Manifest.maximumSize)
            else { throw ImportError(description: "it has more than \(Manifest.maximumSize) bytes") }
            let found = Digest(hashing: bytes, algorithm: digest.algorithm)
            guard found == digest else { throw ImportError(description: "its data has the digest \(found)") }
            return bytes
        }
    }
}

extension FileSystemError {
    /// True for what is wrong with one file of a storage, and keeps no other from being imported.
    var isOfOneFile: Bool {
        switch self.reason {
        case .notRegular, .tooLarge: true
        case .system(let number):
            [ENOTDIR, ELOOP, ENAMETOOLONG].contains(number) || (number == EIO && self.operation == "read")
        }
    }
}

/// Why something cannot be imported.
package struct ImportError: Error, Sendable, CustomStringConvertible {
    package let description: String
}
