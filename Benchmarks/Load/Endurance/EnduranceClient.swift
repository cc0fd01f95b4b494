// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOSSL

/// Asks servers of which each may be away at any moment.
struct EnduranceClient: Sendable {
    enum Reply: Sendable {
        case answered(status: UInt, body: [UInt8])
        /// No answer, or one that says that there is none at the moment: who asked does not know what became of it.
        case none
    }

    private static let limit = 32 << 20

    let servers: [String]
    private let client: HTTPClient

    init(servers: [String], authority: String) throws {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(authority)
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.timeout.connect = .seconds(2)
        self.servers = servers
        self.client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func close() async throws {
        try await self.client.shutdown()
    }

    var anyServer: String { self.servers.randomElement() ?? "" }

    func get(_ path: String, from server: String) async -> Reply {
        await self.send(LoadRequest(method: .GET, path: path), to: server)
    }

    func send(_ request: LoadRequest, to server: String) async -> Reply {
        var outgoing = HTTPClientRequest(url: server + request.path)
        outgoing.method = request.method
        outgoing.headers = request.headers
        if request.method == .POST { outgoing.body = .bytes(request.body) }
        do {
            let response = try await self.client.execute(outgoing, timeout: .seconds(40))
            let body = try await response.body.collect(upTo: Self.limit)
            guard response.status.code < 500 else { return .none }
            return .answered(status: response.status.code, body: Array(body.readableBytesView))
        } catch {
            return .none
        }
    }
}
