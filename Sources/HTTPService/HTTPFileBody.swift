// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A part of an open file as the body of a reply.
package struct HTTPFileBody: Sendable {
    /// The open file. Whoever sends the reply closes it.
    package let file: NIOFileHandle
    /// Which bytes of the file to send.
    package let range: Range<Int64>

    package init(file: NIOFileHandle, range: Range<Int64>) {
        self.file = file
        self.range = range
    }
}
