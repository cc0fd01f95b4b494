// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A system call on a file that failed.
package struct FileSystemError: Error, Sendable, CustomStringConvertible {
    /// The call.
    package let operation: String
    /// The file.
    package let path: String
    /// The system's error number.
    package let number: CInt

    package init(operation: String, path: String, number: CInt) {
        self.operation = operation
        self.path = path
        self.number = number
    }

    package var description: String {
        "\(self.operation) \(self.path): \(String(cString: strerror(self.number))) (\(self.number))"
    }

    /// True when there is no room: the disk, a quota or the largest size of a file.
    package var isOutOfSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(self.number) }

    /// True when the process has all the open files that it may have; passes when others are closed.
    package var isOutOfDescriptors: Bool { [EMFILE, ENFILE].contains(self.number) }
}

/// Calls again while a signal interrupts.
/// - Throws: ``FileSystemError``.
@discardableResult
func systemCall<Result: SignedInteger>(
    _ operation: String,
    _ path: String,
    _ call: () -> Result
) throws(FileSystemError) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        if errno != EINTR { throw FileSystemError(operation: operation, path: path, number: errno) }
    }
}
