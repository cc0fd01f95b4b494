// SPDX-License-Identifier: Apache-2.0

import CProcess
import Foundation

/// What a program's standard output is connected to while it is watched: a terminal of its own where ours is one, so that it
/// shows its progress as ever; else a pipe.
struct OutputChannel {
    let readEnd: Int32
    let writeEnd: Int32

    /// - Throws: ``DockerFrontError`` with code `docker`.
    init(asTerminal: Bool) throws {
        if asTerminal {
            var program: Int32 = -1
            let ours = hallmark_open_terminal(STDOUT_FILENO, &program)
            guard ours >= 0 else { throw ChildProcess.failure("cannot open a terminal", errno) }
            self.readEnd = ours
            self.writeEnd = program
            return
        }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ChildProcess.failure("cannot make a pipe", errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        self.readEnd = ends[0]
        self.writeEnd = ends[1]
    }

    /// Gives a body what comes, until there is no more.
    func read(_ body: (ArraySlice<UInt8>) -> Void) {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Foundation.read(self.readEnd, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            // A terminal whose other end is closed is an error, not an end.
            guard count > 0 else { return }
            body(buffer[..<count])
        }
    }
}
