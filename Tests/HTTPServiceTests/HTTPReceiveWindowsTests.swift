// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import HTTPService

@Suite("Memory for bodies that are received at once")
struct HTTPReceiveWindowsTests {
    private func windows(_ bodies: Int) -> HTTPReceiveWindows {
        let windows = HTTPReceiveWindows(memory: 8 << 20, largest: 512 << 10, largestRead: 128 << 10)
        for _ in 0..<bodies { windows.bodyBegan() }
        return windows
    }

    @Test("all of it is within its bound, however many they are", arguments: [1, 15, 16, 17, 32, 100, 128, 256])
    func bound(_ bodies: Int) {
        let windows = self.windows(bodies)
        let each = windows.window + Int(windows.readsInTurn) * windows.readSize
        #expect(bodies * each <= 16 << 20)
        #expect(windows.readSize.nonzeroBitCount == 1)
        #expect(windows.window >= 32 << 10)
    }

    @Test("few have as much as is good for speed, and have it again when others have ended")
    func few() {
        let windows = self.windows(100)
        #expect(windows.readSize == 32 << 10)
        for _ in 0..<96 { windows.bodyEnded() }
        #expect(windows.window == 512 << 10)
        #expect(windows.readSize == 128 << 10)
        #expect(windows.readsInTurn == 4)
    }

    @Test("what is read into adapts to what comes, within the share")
    func allocator() {
        let windows = self.windows(128)
        var allocator = HTTPReceiveAllocator(windows: windows, maximum: 128 << 10)
        for _ in 0..<20 { _ = allocator.record(actualReadBytes: allocator.nextBufferSize() ?? 0) }
        #expect(allocator.nextBufferSize() ?? .max <= 32 << 10)
        for _ in 0..<127 { windows.bodyEnded() }
        for _ in 0..<20 { _ = allocator.record(actualReadBytes: allocator.nextBufferSize() ?? 0) }
        #expect(allocator.nextBufferSize() == 128 << 10)
    }
}
