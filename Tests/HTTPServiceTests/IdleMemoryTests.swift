// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import Testing

@testable import HTTPService

@Suite("Memory of a process that has little to do")
struct IdleMemoryTests {
    private func activity() -> IdleMemory.Activity {
        IdleMemory.Activity(interval: .milliseconds(500), processorTime: .milliseconds(40))
    }

    @Test("is given back when the work of the start is over, and not again while nothing happens")
    func once() {
        var activity = self.activity()
        #expect({ activity.hasEbbed(processorTime: .milliseconds(43)) }())
        #expect({ !activity.hasEbbed(processorTime: .milliseconds(44)) }())
        #expect({ !activity.hasEbbed(processorTime: .milliseconds(44)) }())
    }

    @Test("is kept while there is work, and given back when that ebbs")
    func ebb() {
        var activity = self.activity()
        #expect({ activity.hasEbbed(processorTime: .milliseconds(40)) }())
        #expect({ !activity.hasEbbed(processorTime: .milliseconds(200)) }())
        #expect({ !activity.hasEbbed(processorTime: .milliseconds(600)) }())
        #expect({ activity.hasEbbed(processorTime: .milliseconds(601)) }())
        #expect({ !activity.hasEbbed(processorTime: .milliseconds(602)) }())
    }

    @Test("is given back now and then while there is a little work all the time")
    func littleWork() {
        var activity = self.activity()
        let releases = (1...100).filter { activity.hasEbbed(processorTime: .milliseconds(40 + 5 * $0)) }
        #expect(releases.count == 10)
    }

    #if os(Linux)
    @Test("what is given back is mapped again when it is used")
    func release() async throws {
        func mapped() throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
            return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
        }
        let before = try mapped()
        // Other tests run meanwhile: they use what is taken from under them, and map some of it again.
        let after = try (1...20).map { _ in
            IdleMemory.release()
            return try mapped()
        }
        #expect(try #require(after.min()) < before / 2)
        let responder = ClosureResponder(answer: { _ in HTTPResponse(status: .ok) })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            for _ in 0..<3 {
                try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                IdleMemory.release()
                #expect(try await client.readReply().status == 200)
            }
        }
    }
    #endif
}
