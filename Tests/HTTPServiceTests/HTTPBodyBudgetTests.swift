// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import Testing

@Suite("The memory for request bodies")
struct HTTPBodyBudgetTests {
    private func body(_ bytes: Int) -> HTTPRequestBody {
        HTTPRequestBody(ByteBuffer(repeating: 7, count: bytes))
    }

    @Test("bytes count while they are in use, and are given back however it ends")
    func account() async throws {
        let budget = HTTPBodyBudget(bytes: 10)
        try await budget.collecting(self.body(6), upTo: 10) { whole in
            #expect(whole.readableBytes == 6)
            await #expect(throws: HTTPBodyBudgetError.self) {
                try await budget.collecting(self.body(5), upTo: 10) { _ in }
            }
            try await budget.collecting(self.body(4), upTo: 10) { _ in }
        }
        await #expect(throws: HTTPBodyTooLargeError.self) {
            try await budget.collecting(self.body(4), upTo: 3) { _ in }
        }
        await #expect(throws: CancellationError.self) {
            try await budget.collecting(self.body(10), upTo: 10) { _ in throw CancellationError() }
        }
        #expect(try await budget.collecting(self.body(10), upTo: 10) { $0.readableBytes } == 10)
    }

    @Test("a body that breaks off gives back what had come")
    func brokenOff() async throws {
        let budget = HTTPBodyBudget(bytes: 10)
        let (stream, feed) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
        feed.yield(ByteBuffer(repeating: 1, count: 9))
        feed.finish(throwing: HTTPConnectionClosedError())
        await #expect(throws: HTTPConnectionClosedError.self) {
            try await budget.collecting(HTTPRequestBody(streaming: stream), upTo: 10) { _ in }
        }
        try await budget.collecting(self.body(10), upTo: 10) { _ in }
    }
}
