// SPDX-License-Identifier: Apache-2.0

import Atomics
import DurableFiles
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Tells the process that serves a directory what other processes change in the same database: commands that collect, scrub or
/// import while it serves.
///
/// A number in a mapped file, odd while another process changes something, and another one afterwards. Whoever changes
/// something locks the file, counts up, commits what it has to, and counts up again. If it is killed between, the number stays
/// odd, and what relies on it stays careful, until the lock has been had by somebody else.
package final class ForeignChanges: Sendable {
    private static let size = MemoryLayout<UnsafeAtomic<UInt64>.Storage>.size
    /// How often a lock that another process holds is tried again.
    private static let pause = Duration.milliseconds(10)

    private let path: String
    private let descriptor: CInt
    /// Mapped for as long as this object lives.
    private let number: UnsafeAtomic<UInt64>
    private nonisolated(unsafe) let memory: UnsafeMutableRawPointer
    private let changing = Mutex(0)

    /// Opens the file, and makes it when it is not there. Blocks.
    /// - Parameter directory: The registry's.
    /// - Throws: `FileSystemError`.
    package init(directory: String) throws {
        let path = directory + "/changes"
        let descriptor = try systemCall("open", path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        do {
            if try FileStatus(descriptor: descriptor, path: path).size < Self.size {
                try systemCall("truncate", path) { ftruncate(descriptor, off_t(Self.size)) }
            }
            // So that there is room for the number when the disk is full; asked for again before it is written.
            _ = Self.allocate(descriptor)
            let mapped = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            guard let memory = mapped, memory != MAP_FAILED else {
                throw FileSystemError(operation: "map", path: path, number: errno)
            }
            self.memory = memory
        } catch {
            _ = close(descriptor)
            throw error
        }
        self.path = path
        self.descriptor = descriptor
        self.number = UnsafeAtomic(
            at: self.memory.bindMemory(to: UnsafeAtomic<UInt64>.Storage.self, capacity: 1)
        )
    }

    deinit {
        munmap(self.memory, Self.size)
        _ = close(self.descriptor)
    }

    /// The number; nil while another process changes something.
    var settledNumber: UInt64? {
        let number = self.number.load(ordering: .sequentiallyConsistent)
        return number.isMultiple(of: 2) ? number : nil
    }

    /// Changes the database from beside the process that serves. Several tasks of one process may do so at once.
    /// - Throws: `FileSystemError`, or what the body throws.
    package func change<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await self.begin()
        defer { self.end() }
        return try await body()
    }

    private func begin() async throws {
        while true {
            let isReady = try self.changing.withLock { count in
                if count == 0 {
                    guard try self.tryLock() else { return false }
                    let failure = Self.allocate(self.descriptor)
                    guard failure != ENOSPC, failure != EDQUOT else {
                        _ = flock(self.descriptor, LOCK_UN)
                        throw FileSystemError(operation: "allocate", path: self.path, number: failure)
                    }
                    self.settle(odd: true)
                }
                count += 1
                return true
            }
            if isReady { return }
            try await Task.sleep(for: Self.pause)
        }
    }

    private func end() {
        self.changing.withLock { count in
            count -= 1
            guard count == 0 else { return }
            self.settle(odd: false)
            _ = flock(self.descriptor, LOCK_UN)
        }
    }

    /// Ends a change whose process was killed.
    func repair() throws {
        guard self.settledNumber == nil else { return }
        try self.changing.withLock { count in
            guard count == 0, try self.tryLock() else { return }
            self.settle(odd: false)
            _ = flock(self.descriptor, LOCK_UN)
        }
    }

    /// Counts up to the next number of the kind; by two where a killed process left one. With the lock held.
    private func settle(odd: Bool) {
        let number = self.number.load(ordering: .sequentiallyConsistent)
        let step: UInt64 = number.isMultiple(of: 2) == odd ? 1 : 2
        self.number.store(number &+ step, ordering: .sequentiallyConsistent)
    }

    /// Where there is no room for it, what is written into a hole of a mapped file is a signal and no error.
    private static func allocate(_ descriptor: CInt) -> CInt {
        #if canImport(Glibc)
        posix_fallocate(descriptor, 0, off_t(Self.size))
        #else
        0
        #endif
    }

    private func tryLock() throws -> Bool {
        do {
            try systemCall("lock", self.path) { flock(self.descriptor, LOCK_EX | LOCK_NB) }
            return true
        } catch let error as FileSystemError where error.number == EWOULDBLOCK {
            return false
        }
    }
}
