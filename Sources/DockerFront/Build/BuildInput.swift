// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import DurableFiles
import Foundation

/// Where a build reads its Dockerfile.
enum BuildInput: Sendable, Hashable {
    /// A file.
    case file(String)
    /// Standard input, which has nothing else.
    case standardInput

    /// - Parameters:
    ///   - context: docker's argument: a directory, an address or `-`.
    ///   - file: the value of `--file`.
    /// - Throws: ``DockerFrontError`` with code `build` where the Dockerfile cannot be read before the build.
    init(context: String, file: String?) throws {
        if file == "-" {
            guard context != "-" else {
                throw DockerFrontError(
                    .build,
                    "invalid argument: can't use stdin for both build context and dockerfile"
                )
            }
            self = .standardInput
            return
        }
        if context == "-" {
            self = .standardInput
            return
        }
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: context, isDirectory: &isDirectory)
        guard exists, isDirectory.boolValue else {
            throw DockerFrontError(
                .build,
                context.contains("://") || context.hasPrefix("git@") || context.hasPrefix("github.com/")
                    ? "\(context): the Dockerfile of a remote context cannot be checked before it is built: fetch it, and build the "
                        + "directory" : "unable to prepare context: path \"\(context)\" not found"
            )
        }
        if let file, !file.isEmpty {
            guard !file.contains("://") else {
                throw DockerFrontError(
                    .build,
                    "\(file): a remote Dockerfile cannot be checked before it is built: fetch it first"
                )
            }
            self = .file(file)
            return
        }
        let folder = context.hasSuffix("/") ? context : context + "/"
        let names = ["Dockerfile", "dockerfile"].map { folder + $0 }
        self = .file(names.first { FileManager.default.fileExists(atPath: $0) } ?? names[0])
    }

    /// What standard input holds when it is the context: an archive is not a Dockerfile.
    /// - Throws: ``DockerFrontError`` with code `build`.
    static func refuseArchive(_ bytes: [UInt8]) throws {
        let marks: [[UInt8]] = [
            [0x1F, 0x8B], Array("BZh".utf8), [0xFD, 0x37, 0x7A, 0x58, 0x5A], [0x28, 0xB5, 0x2F, 0xFD],
        ]
        let isTar = bytes.count > 262 && bytes[257..<262].elementsEqual("ustar".utf8)
        guard !isTar, !marks.contains(where: bytes.starts(with:)), !bytes.prefix(1024).contains(0) else {
            throw DockerFrontError(
                .build,
                "the context on standard input is an archive, whose Dockerfile cannot be replaced by one with trusted digests: unpack "
                    + "it, and build the directory"
            )
        }
    }

    /// Reads a Dockerfile, and the list of ignored files beside it, if there is one.
    /// - Throws: ``DockerFrontError`` with code `build`.
    static func read(_ path: String) async throws -> (dockerfile: [UInt8], ignored: [UInt8]?) {
        try await BlockingWork.wait {
            // A pipe will do, as a shell makes one of a command's output.
            guard let handle = FileHandle(forReadingAtPath: path) else {
                throw DockerFrontError(
                    .build,
                    "failed to read dockerfile: open \(path): \(String(cString: strerror(errno)))"
                )
            }
            defer { try? handle.close() }
            var dockerfile: [UInt8] = []
            do {
                while dockerfile.count <= Dockerfile.maximumSize,
                    let piece = try handle.read(upToCount: Dockerfile.maximumSize), !piece.isEmpty
                {
                    dockerfile += piece
                }
                return (dockerfile, try DurableFile.read(path + ".dockerignore", limit: Dockerfile.maximumSize))
            } catch {
                throw DockerFrontError(.build, "failed to read dockerfile: \(error)")
            }
        }
    }
}

/// A Dockerfile that is there for the time of a build.
struct TemporaryDockerfile: Sendable {
    /// Its path.
    let path: String
    private let folder: TemporaryFolder

    /// - Parameters:
    ///   - name: the file's name, which builders show.
    ///   - bytes: what it holds.
    ///   - ignored: what the file beside it holds, which lists what is left out of the context.
    /// - Throws: ``DockerFrontError`` with code `storage`.
    init(name: String, _ bytes: [UInt8], ignored: [UInt8]?) throws {
        do {
            self.folder = try TemporaryFolder()
        } catch {
            throw DockerFrontError(.storage, "cannot make a temporary directory: \(error.localizedDescription)")
        }
        self.path = "\(self.folder.path)/\(name)"
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: self.path))
            if let ignored { try Data(ignored).write(to: URL(fileURLWithPath: self.path + ".dockerignore")) }
        } catch {
            self.remove()
            throw DockerFrontError(.storage, "cannot write \(self.path): \(error.localizedDescription)")
        }
    }

    /// Removes it.
    func remove() { self.folder.remove() }
}
