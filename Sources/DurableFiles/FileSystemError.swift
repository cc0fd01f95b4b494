// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Something on a file that did not work.
package struct FileSystemError: Error, Sendable, CustomStringConvertible {
    /// Why it did not.
    package enum Reason: Sendable, Hashable {
        /// The system refused; the value is its error number.
        case system(CInt)
        /// What is there is a directory, pipe or device.
        case notRegular
        /// The file has more than so many bytes.
        case tooLarge(limit: Int)
    }

    /// What was attempted: `open`, `write`, `sync`, `rename`, …
    package let operation: String
    /// The file.
    package let path: String
    /// Why it did not work.
    package let reason: Reason

    package init(operation: String, path: String, reason: Reason) {
        self.operation = operation
        self.path = path
        self.reason = reason
    }

    package init(operation: String, path: String, number: CInt) {
        self.init(operation: operation, path: path, reason: .system(number))
    }

    /// The system's error number; 0 when it was not the system that refused.
    package var number: CInt {
        if case .system(let number) = self.reason { number } else { 0 }
    }

    /// The file, and what is wrong with it.
    package var description: String {
        switch self.reason {
        case .system(let number): "cannot \(self.operation) \(self.path): \(String(cString: strerror(number)))"
        case .notRegular: "\(self.path) is not a regular file"
        case .tooLarge(let limit): "\(self.path) is larger than the \(limit) bytes that are expected at most"
        }
    }

    /// True when there is no room: the disk, a quota or the largest size of a file.
    package var isOutOfSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(self.number) }

    /// True when the process has all the open files that it may have; passes when others are closed.
    package var isOutOfDescriptors: Bool { [EMFILE, ENFILE].contains(self.number) }
}

/// Calls again while a signal interrupts.
/// - Throws: ``FileSystemError``.
@discardableResult
package func systemCall<Result: SignedInteger>(
    _ operation: String,
    _ path: String,
    _ call: () -> Result
) throws -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        if errno != EINTR { throw FileSystemError(operation: operation, path: path, number: errno) }
    }
}
