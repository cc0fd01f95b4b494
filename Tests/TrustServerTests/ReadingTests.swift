// SPDX-License-Identifier: Apache-2.0

import Crypto
import DatabaseTesting
import HTTPService
import NIOHTTP1
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Reading", .onEveryDatabase)
struct ReadingTests {
    private static let notFound =
        #"{"errors":[{"code":"METADATA_NOT_FOUND","message":"You have requested metadata that does not exist."}]}"#
        + "\n"
    private static let missing =
        #"{"errors":[{"code":"METADATA_NOT_FOUND","message":"You have requested metadata that does not exist.","#
        + "\"detail\":{}}]}\n"

    @Test("ping, with and without the second slash of a server URL that ends in one", arguments: ["/v2/", "//v2/"])
    func ping(path: String) async throws {
        try await TestServer.with { server in
            let reply = try await server.get(path)
            #expect(reply.status == 200)
            #expect(reply.text == "{}")
            #expect(reply.headers.first(name: "Content-Type") == "text/plain; charset=utf-8")
        }
    }

    @Test("caching headers, by kind of path")
    func headers() async throws {
        try await TestServer.with { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            for leaf in ["timestamp.json", "snapshot.json", "root.json", "targets.json"] {
                let reply = try await server.get(leaf, of: "g")
                #expect(reply.status == 200)
                let caching = reply.headers.first(name: "Cache-Control")
                #expect(caching == "public, max-age=300, s-maxage=300, must-revalidate")
                #expect(reply.headers.first(name: "Last-Modified") == "Fri, 15 Jan 2027 08:00:00 GMT")
                #expect(reply.headers.first(name: "Content-Type") == "text/plain; charset=utf-8")
                let hash = Hexadecimal.encode(SHA256.hash(data: reply.body))
                let role = String(leaf.dropLast(5))
                for path in ["\(role).\(hash).json", "01.\(role).json"]
                where !(role == "targets" && path.hasPrefix("01")) {
                    let consistent = try await server.get(path, of: "g")
                    #expect(consistent.body == reply.body)
                    #expect(
                        consistent.headers.first(name: "Cache-Control") == "public, max-age=2592000, s-maxage=2592000"
                    )
                }
            }
        }
    }

    @Test("a maximum age of 0 forbids caching")
    func noCaching() async throws {
        try await TestServer.with {
            $0.currentMaximumAge = 0
        } _: { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            let reply = try await server.get("root.json", of: "g")
            #expect(reply.headers.first(name: "Cache-Control") == "max-age=0, no-cache, no-store")
            #expect(reply.headers.first(name: "Pragma") == "no-cache")
        }
    }

    @Test("what was never published is not found, before and after the first publish")
    func missing() async throws {
        try await TestServer.with { server in
            #expect(try await server.get("root.json", of: "g").text == Self.missing)
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            let zeros = String(repeating: "0", count: 64)
            for leaf in ["targets/releases.json", "root.\(zeros).json", "9.root.json", "targets/a.\(zeros).json"] {
                let reply = try await server.get(leaf, of: "g")
                #expect(reply.status == 404)
                #expect(reply.text == Self.missing)
                #expect(reply.headers.first(name: "Cache-Control") == nil)
            }
        }
    }

    @Test("a file is served by its hash under its own role and collection only")
    func hashIsBound() async throws {
        try await TestServer.with { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            _ = try await server.publish(try await server.publisher("h").first(), to: "h")
            let root = try await server.get("root.json", of: "g").body
            let hash = Hexadecimal.encode(SHA256.hash(data: root))
            #expect(try await server.get("root.\(hash).json", of: "g").body == root)
            #expect(try await server.get("root.\(hash).json", of: "h").status == 404)
            #expect(try await server.get("targets.\(hash).json", of: "g").status == 404)
            #expect(try await server.get("root.\(hash.uppercased()).json", of: "g").status == 404)
        }
    }

    @Test(
        "paths that are none of the API's",
        arguments: [
            "/", "/v2", "/v2/g/_trust/tuf", "/v2/g/_trust/tuf/targets.key", "/v2/g/_trust/tuf/root.key",
            "/v2/g/_trust/tuf/0.root.json", "/v2/g/_trust/tuf/root", "/v2/g/_trust/tuf/root.json.json",
            "/v2/g/_trust/tuf/root.abc.json", "/v2/g/_trust/tuf/1.root.2.json", "/v2/g/_trust/tuf/targets/A.json",
            "/v2/g/_trust/tuf/-1.root.json", "/v2/g/_trust/tuf/99999999999999999999.root.json", "/v2/g/tags/list",
            "/v2/_trust/tuf/root.json", "/v2//_trust/tuf/root.json", "/v3/", "",
        ]
    )
    func unknownPaths(path: String) async throws {
        try await TestServer.with { server in
            for method: HTTPMethod in [.GET, .POST, .PUT, .HEAD, .DELETE] {
                let reply = try await server.send(method, path)
                #expect(reply.status == 404, "\(method)")
                #expect(reply.text == Self.notFound)
            }
            for method: HTTPMethod in [.OPTIONS, .PATCH] {
                let reply = try await server.send(method, path)
                #expect(reply.status == 405)
                #expect(reply.body.isEmpty)
            }
        }
    }

    @Test("methods that a path does not take")
    func methods() async throws {
        try await TestServer.with { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            let paths = [
                "/v2/", "/v2/g/_trust/tuf/root.json", "/v2/g/_trust/changefeed", "/v2/g/_trust/tuf/snapshot.key",
            ]
            for path in paths {
                #expect(try await server.send(.HEAD, path).text == Self.notFound)
                #expect(try await server.send(.PUT, path).status == 404)
                #expect(try await server.send(.PATCH, path).status == 405)
            }
            #expect(try await server.get("/v2/g/_trust/tuf/").status == 404)
        }
    }

    @Test(
        "names that a collection may have",
        arguments: [
            ("docker.io/library/alpine", "docker.io/library/alpine"), ("a%20b", "a b"), ("a%2Fb", "a/b"),
            ("localhost:5000/A", "localhost:5000/A"), ("%C3%A9", "é"), ("x/_trust/tuf/y", "x/_trust/tuf/y"),
            ("x/_trust/changefeed", "x/_trust/changefeed"), ("a/..b/c...", "a/..b/c..."),
        ]
    )
    func names(encoded: String, gun: String) async throws {
        try await TestServer.with { server in
            let publisher = try TestPublisher(
                gun: gun,
                now: server.clock.now,
                timestampKey: try await server.serverKey(.timestamp, of: encoded),
                snapshotKey: try await server.serverKey(.snapshot, of: encoded)
            )
            let files = try await publisher.first()
            #expect(try await server.publish(files, to: encoded).status == 200)
            let path = TrustPath.metadata(try GUN(gun), .root, .current)
            #expect(try await server.get(path.encoded).body == files[0].bytes)
            #expect(try TrustPath(parsing: path.encoded) == path)
        }
    }

    @Test("two spellings of one Unicode text are two collections")
    func unicode() async throws {
        try await TestServer.with { server in
            _ = try await server.publish(
                try TestPublisher(
                    gun: "\u{E9}",
                    now: server.clock.now,
                    timestampKey: try await server.serverKey(.timestamp, of: "%C3%A9"),
                    snapshotKey: try await server.serverKey(.snapshot, of: "%C3%A9")
                ).first(),
                to: "%C3%A9"
            )
            #expect(try await server.get("root.json", of: "%C3%A9").status == 200)
            #expect(try await server.get("root.json", of: "e%CC%81").status == 404)
        }
    }

    @Test("after a deletion nothing is served, by no path, and the name can be used anew")
    func deletion() async throws {
        try await TestServer.with { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            let root = try await server.get("root.json", of: "g").body
            let hash = Hexadecimal.encode(SHA256.hash(data: root))
            let reply = try await server.send(.DELETE, "/v2/g/_trust/tuf/")
            #expect(reply.status == 200)
            #expect(reply.body.isEmpty)
            for leaf in ["root.json", "timestamp.json", "snapshot.json", "1.root.json", "root.\(hash).json"] {
                #expect(try await server.get(leaf, of: "g").status == 404, "\(leaf)")
            }
            #expect(try await server.send(.DELETE, "/v2/g/_trust/tuf/").status == 200)
            #expect(try await server.publish(try await server.publisher("g").first(), to: "g").status == 200)
            #expect(try await server.update("g").timestamp?.payload.version == 1)
        }
    }

    @Test("another server of the same database is believed over memory")
    func revalidation() async throws {
        try await TestServer.with {
            $0.revalidation = .zero
        } _: { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let other = try await server.another { $0.revalidation = .zero }
            #expect(try await other.update("g").timestamp?.payload.version == 1)
            _ = try await server.publish([(.targets, try await publisher.targets(version: 3))], to: "g")
            #expect(try await other.update("g").timestamp?.payload.version == 2)
            let hash = Hexadecimal.encode(SHA256.hash(data: try await other.get("root.json", of: "g").body))
            #expect(try await other.get("root.\(hash).json", of: "g").status == 200)
            _ = try await server.send(.DELETE, "/v2/g/_trust/tuf/")
            #expect(try await other.get("root.\(hash).json", of: "g").status == 404)
            #expect(try await other.get("timestamp.json", of: "g").status == 404)
            #expect(try await other.get("root.json", of: "g").status == 404)
        }
    }

    @Test("a key is made once for each role of a collection, and written the way Notary does")
    func keys() async throws {
        try await TestServer.with { server in
            let reply = try await server.get("timestamp.key", of: "g")
            #expect(reply.status == 200)
            #expect(reply.text.hasPrefix(#"{"keytype":"ecdsa","keyval":{"public":"MFkw"#))
            #expect(reply.text.hasSuffix(#"","private":null}}"#))
            #expect(try await server.get("timestamp.key", of: "g").body == reply.body)
            #expect(try await server.send(.POST, "/v2/g/_trust/tuf/timestamp.key").body == reply.body)
            #expect(try await server.get("snapshot.key", of: "g").body != reply.body)
            server.signer.setUnavailable(true)
            #expect(try await server.get("timestamp.key", of: "h").error?.code == .unavailable)
        }
    }

    @Test("health says what is wrong; metrics count")
    func health() async throws {
        try await TestServer.with { server in
            #expect(try await server.get("/_notary_server/health").text == "{}")
            server.signer.setUnavailable(true)
            await server.server.health.poll()
            let reply = try await server.get("/_notary_server/health")
            #expect(reply.status == 503)
            #expect(reply.text == #"{"Trust operational":"the signer is away"}"#)
            _ = try await server.get("root.json", of: "g")
            let metrics = try await server.get("/metrics").text
            #expect(
                metrics.contains(
                    #"notary_server_http_requests_total{code="404",method="get",operation="GetRole"} 1"#
                )
            )
        }
    }
}
