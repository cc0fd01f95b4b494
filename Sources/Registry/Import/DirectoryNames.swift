// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import NIOPosix
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The names in a directory, a few hundred at a time: there may be a million.
final class DirectoryNames: Sendable {
    private struct Stream {
        // Only used with the lock held; closed once.
        #if canImport(Glibc)
        nonisolated(unsafe) var pointer: OpaquePointer?
        #else
        nonisolated(unsafe) var pointer: UnsafeMutablePointer<DIR>?
        #endif
    }

    private static let batch = 500

    private let path: String
    private let threads: NIOThreadPool
    private let stream: Mutex<Stream>

    /// Opens a directory. Blocks.
    /// - Returns: nil when there is none.
    /// - Throws: `FileSystemError`.
    init?(_ path: String, threads: NIOThreadPool) throws {
        guard let pointer = opendir(path) else {
            let number = errno
            if number == ENOENT || number == ENOTDIR { return nil }
            throw FileSystemError(operation: "open", path: path, number: number)
        }
        self.path = path
        self.threads = threads
        self.stream = Mutex(Stream(pointer: pointer))
    }

    deinit {
        self.stream.withLock { stream in
            if let pointer = stream.pointer { closedir(pointer) }
        }
    }

    /// Some more names, without `.` and `..`; none at the end.
    /// - Throws: `FileSystemError`.
    func next() async throws -> [String] {
        try await self.threads.blocking {
            try self.stream.withLock { stream in
                guard let pointer = stream.pointer else { return [] }
                var names: [String] = []
                while names.count < Self.batch {
                    errno = 0
                    guard let entry = readdir(pointer) else {
                        guard errno == 0 else {
                            throw FileSystemError(operation: "read", path: self.path, number: errno)
                        }
                        closedir(pointer)
                        stream.pointer = nil
                        break
                    }
                    let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                        tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: tuple.pointee)) {
                            String(cString: $0)
                        }
                    }
                    if name != ".", name != ".." { names.append(name) }
                }
                return names
            }
        }
    }
}
