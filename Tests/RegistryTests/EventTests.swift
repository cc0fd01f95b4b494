// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import HTTPAccess
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// A configuration that never waits long.
private func configuration(_ endpoints: EventEndpoint...) -> EventConfiguration {
    var configuration = EventConfiguration(endpoints: endpoints)
    configuration.interval = .milliseconds(5)
    return configuration
}

private func endpoint(
    _ name: String,
    _ url: HTTPURL,
    _ configure: (inout EventEndpoint) -> Void = { _ in }
) -> EventEndpoint {
    var endpoint = EventEndpoint(name: name, url: url)
    endpoint.backoff = .milliseconds(10)
    configure(&endpoint)
    return endpoint
}

extension RegistryFixture {
    fileprivate var delivery: EventDelivery {
        get throws { try #require(self.registry.services.compactMap { $0 as? EventDelivery }.first) }
    }

    /// Delivers until the condition holds, and nothing waits any more for some endpoints: what is taken but not yet removed
    /// would be delivered again.
    fileprivate func delivering(
        _ endpoints: String...,
        until isDone: @escaping @Sendable () async throws -> Bool
    ) async throws {
        let delivery = try self.delivery
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await delivery.run() }
            group.addTask {
                while true {
                    var waiting: Int64 = 0
                    for endpoint in endpoints { waiting += try await self.queued(endpoint) }
                    if waiting == 0, try await isDone() { return }
                    try await Task.sleep(for: .milliseconds(2))
                }
            }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    fileprivate func queued(_ endpoint: String) async throws -> Int64 {
        try await self.delivery.queue.backlog(of: endpoint).count
    }

    fileprivate func pushImage(_ repository: String, tag: String) async throws -> Digest {
        let config = try await self.pushBlob(Array("{}".utf8), to: repository)
        let manifest = Array(
            """
            {"schemaVersion":2,"mediaType":"\(MediaType.imageManifest)",\
            "config":{"mediaType":"\(MediaType.empty)","digest":"\(config)","size":2},"layers":[],\
            "annotations":{"tag":"\(tag)"}}
            """.utf8
        )
        let reply = try await self.send(
            .PUT,
            "/v2/\(repository)/manifests/\(tag)",
            manifest,
            headers: [
                ("content-type", MediaType.imageManifest.rawValue), ("host", "registry.example"),
                ("user-agent", "test/1"),
            ]
        )
        #expect(reply.status == 201)
        return Digest(hashing: manifest)
    }
}

struct EventTests {
    @Test("What rules of retention remove is told as what a client deletes")
    func retention() async throws {
        try await EventReceiver.run { receiver, url in
            try await RegistryFixture.run(.set(\.events, configuration(endpoint("all", url)))) { fixture in
                let old = try await fixture.pushImage("team/app", tag: "v1")
                fixture.clock.advance(by: 10)
                _ = try await fixture.pushImage("team/app", tag: "v2")
                let rule = RetentionRules.Rule(
                    repositories: [try NamePattern("**")],
                    keep: RetentionRules.Keep(newest: 1),
                    untagged: .remove(after: 1)
                )
                let original = fixture.registry.collector
                var policy = original.policy
                policy.retention = RetentionRules(rules: [rule])
                fixture.clock.advance(by: 2 * 86_400)
                let collector = Collector(
                    original.contents,
                    policy: policy,
                    clock: original.clock,
                    logger: original.logger
                )
                _ = try await collector.run(.dryRun, walksStorage: false)
                let summary = try await collector.run(.collect, walksStorage: false)
                #expect(summary?.tags == 1)
                #expect(summary?.manifests == 1)
                try await fixture.delivering("all") { receiver.events.count { $0.action == "delete" } == 2 }
                let deleted = receiver.events.filter { $0.action == "delete" }
                #expect(deleted.first?.target.tag == "v1")
                #expect(deleted.last?.target.digest == old.description)
                #expect(deleted.allSatisfy { $0.target.repository == "team/app" && $0.request.method.isEmpty })
            }
        }
    }

    @Test("What a manifest lists is told with its push and its pull, where that is wanted", arguments: [true, false])
    func references(_ areWanted: Bool) async throws {
        try await EventReceiver.run { receiver, url in
            var wanting = configuration(endpoint("all", url) { $0.ignoredMediaTypes = [EventSubject.blobType] })
            wanting.includesReferences = areWanted
            try await RegistryFixture.run(.set(\.events, wanting)) { fixture in
                _ = try await fixture.pushImage("team/app", tag: "1")
                #expect(try await fixture.send(.GET, "/v2/team/app/manifests/1").status == 200)
                try await fixture.delivering("all") { receiver.events.count >= 2 }
                let config = EventReceiver.Event.Reference(
                    mediaType: MediaType.empty.rawValue,
                    size: 2,
                    digest: Digest(hashing: Array("{}".utf8)).description
                )
                let expected = areWanted ? [config] : nil
                #expect(receiver.events.map(\.target.references) == [expected, expected])
            }
        }
    }

    @Test("URLs are those that the client used, also before a proxy that takes TLS off, if that is trusted")
    func forwardedScheme() throws {
        let address = try SocketAddress(ipAddress: "10.0.0.1", port: 80)
        func scheme(_ fields: HTTPHeaders, trusted: String?) -> String {
            let request = HTTPRequest(
                method: .GET,
                path: "/",
                query: nil,
                headers: fields,
                body: HTTPRequestBody(),
                remoteAddress: address
            )
            let proxies = TrustedProxies([trusted.flatMap { IPNetwork($0) }].compactMap(\.self))
            return proxies.isSecure(request) ? "https" : "http"
        }
        #expect(scheme(["x-forwarded-proto": "https"], trusted: "10.0.0.0/8") == "https")
        #expect(scheme(["x-forwarded-proto": "https"], trusted: nil) == "http")
        #expect(scheme(["x-forwarded-proto": "https"], trusted: "10.1.0.0/16") == "http")
        #expect(scheme([:], trusted: "10.0.0.0/8") == "http")
        // The last one is the proxy's own word.
        #expect(scheme(["x-forwarded-proto": "https, http"], trusted: "10.0.0.0/8") == "http")
        #expect(scheme(["x-forwarded-proto": "http, HTTPS"], trusted: "10.0.0.0/8") == "https")
    }

    @Test("An endpoint whose answer never ends has taken what it was sent, and keeps nothing waiting for ever")
    func endlessAnswer() async throws {
        try await EventReceiver.run { receiver, url in
            receiver.trickles()
            let slow = endpoint("slow", url) { $0.timeout = .milliseconds(200) }
            try await RegistryFixture.run(.set(\.events, configuration(slow))) { fixture in
                _ = try await fixture.pushImage("team/app", tag: "1")
                // On a busy machine the answer itself may come too late, and the events once more.
                try await fixture.delivering("slow") { Set(receiver.events.map(\.id)).count >= 2 }
                #expect(Set(receiver.events.map(\.id)).count == 2)
            }
        }
    }

    @Test("Pushes, pulls, mounts and deletions are told in their order and in docker-registry's form; HEAD is no pull")
    func everyAction() async throws {
        try await EventReceiver.run { receiver, url in
            let all = endpoint("all", url) { $0.headers = [("Authorization", "Bearer secret")] }
            try await RegistryFixture.run(.set(\.events, configuration(all))) { fixture in
                let digest = try await fixture.pushImage("team/app", tag: "1.0")
                for _ in 0..<2 {
                    #expect(try await fixture.send(.HEAD, "/v2/team/app/manifests/1.0").status == 200)
                }
                // The second comes from memory.
                for _ in 0..<2 {
                    #expect(try await fixture.send(.GET, "/v2/team/app/manifests/1.0").status == 200)
                }
                let unchanged = try await fixture.send(
                    .GET,
                    "/v2/team/app/manifests/1.0",
                    headers: [("if-none-match", "\"\(digest)\"")]
                )
                #expect(unchanged.status == 304)
                let blob = Digest(hashing: Array("{}".utf8))
                #expect(try await fixture.send(.GET, "/v2/team/app/blobs/\(blob)").status == 200)
                let mount = try await fixture.send(.POST, "/v2/other/blobs/uploads/?mount=\(blob)&from=team/app")
                #expect(mount.status == 201)
                try await fixture.delivering("all") { receiver.events.count >= 6 }
                #expect(try await fixture.send(.DELETE, "/v2/team/app/manifests/1.0").status == 202)
                #expect(try await fixture.send(.DELETE, "/v2/team/app/manifests/\(digest)").status == 202)
                #expect(try await fixture.send(.DELETE, "/v2/other/blobs/\(blob)").status == 202)
                #expect(try await fixture.send(.DELETE, "/v2/other/blobs/\(blob)").status == 404)
                try await fixture.delivering("all") { receiver.events.count >= 9 }
                let events = receiver.events
                #expect(
                    events.map(\.summary).sorted() == [
                        "delete other blob", "delete team/app 1.0", "delete team/app manifest", "mount other blob",
                        "pull team/app 1.0", "pull team/app 1.0", "pull team/app blob", "push team/app 1.0",
                        "push team/app blob",
                    ]
                )
                #expect(events.prefix(2).map(\.summary) == ["push team/app blob", "push team/app 1.0"])
                let push = events[1]
                #expect(push.target.digest == digest.description)
                #expect(push.target.mediaType == MediaType.imageManifest.rawValue)
                #expect(push.target.size == push.target.length)
                #expect(push.target.url == "http://registry.example/v2/team/app/manifests/\(digest)")
                #expect(push.request.method == "PUT")
                #expect(push.request.useragent == "test/1")
                #expect(events.first { $0.action == "mount" }?.target.fromRepository == "team/app")
                #expect(Set(events.map(\.id)).count == events.count)
                #expect(receiver.headers.allSatisfy { $0.first(name: "authorization") == "Bearer secret" })
                #expect(receiver.headers.allSatisfy { $0.first(name: "content-type") == RegistryEvent.envelopeType })
                #expect(try await fixture.queued("all") == 0)
            }
        }
    }

    @Test("What is refused is not told")
    func refused() async throws {
        try await EventReceiver.run { receiver, url in
            try await RegistryFixture.run(.set(\.events, configuration(endpoint("all", url)))) { fixture in
                let manifest = Samples.bytes(10)
                let reply = try await fixture.send(
                    .PUT,
                    "/v2/a/manifests/1",
                    manifest,
                    headers: [("content-type", MediaType.imageManifest.rawValue)]
                )
                #expect(reply.status == 400)
                #expect(try await fixture.send(.DELETE, "/v2/a/manifests/1").status == 404)
                #expect(try await fixture.send(.GET, "/v2/a/manifests/1").status == 404)
                #expect(try await fixture.queued("all") == 0)
            }
        }
    }

    @Test("An endpoint that fails, and one that hangs, keep nobody waiting and are told all in the end")
    func failures() async throws {
        try await EventReceiver.run { failing, failingURL in
            try await EventReceiver.run { hanging, hangingURL in
                try await EventReceiver.run { sound, soundURL in
                    failing.answer(.internalServerError)
                    hanging.answer(nil)
                    let events = configuration(
                        endpoint("failing", failingURL),
                        endpoint("hanging", hangingURL) { $0.timeout = .milliseconds(50) },
                        endpoint("sound", soundURL)
                    )
                    try await RegistryFixture.run(.set(\.events, events)) { fixture in
                        for number in 0..<5 { _ = try await fixture.pushImage("a/b", tag: "v\(number)") }
                        try await fixture.delivering("sound") {
                            sound.events.count == 10 && failing.refused >= 4 && hanging.refused >= 2
                        }
                        #expect(failing.events.isEmpty)
                        failing.answer(.ok)
                        hanging.answer(.ok)
                        try await fixture.delivering("failing", "hanging") {
                            failing.events.count >= 10 && hanging.events.count >= 10
                        }
                        #expect(failing.events.map(\.summary) == sound.events.map(\.summary))
                        #expect(hanging.events.map(\.summary) == sound.events.map(\.summary))
                        #expect(sound.events.count == 10)
                    }
                }
            }
        }
    }

    @Test("What was not delivered before a restart is delivered after it")
    func restart() async throws {
        try await EventReceiver.run { receiver, url in
            try await RegistryFixture.run(.set(\.events, configuration(endpoint("all", url)))) { fixture in
                _ = try await fixture.pushImage("a/b", tag: "1")
                #expect(receiver.events.isEmpty)
                try await fixture.restart()
                try await fixture.delivering("all") { receiver.events.count == 2 }
                #expect(receiver.events.map(\.summary) == ["push a/b blob", "push a/b 1"])
            }
        }
    }

    @Test("Endpoints are told of what they want to know alone")
    func filters() async throws {
        try await EventReceiver.run { receiver, url in
            let some = endpoint("some", url) {
                $0.ignoredActions = [.pull]
                $0.ignoredMediaTypes = [EventSubject.blobType]
                $0.repositories = (try? [NamePattern("team/**")]) ?? []
            }
            try await RegistryFixture.run(.set(\.events, configuration(some))) { fixture in
                for repository in ["team/app", "other/app"] {
                    _ = try await fixture.pushImage(repository, tag: "1")
                    #expect(try await fixture.send(.GET, "/v2/\(repository)/manifests/1").status == 200)
                }
                try await fixture.delivering("some") { receiver.events.count == 1 }
                #expect(receiver.events.map(\.summary) == ["push team/app 1"])
                #expect(try await fixture.queued("some") == 0)
            }
        }
    }

    @Test("What is too old or too much is dropped, the oldest first")
    func bounds() async throws {
        try await EventReceiver.run { receiver, url in
            var events = configuration(endpoint("all", url) { $0.ignoredMediaTypes = [EventSubject.blobType] })
            events.maximumQueued = 2
            events.maximumAge = 60
            try await RegistryFixture.run(.set(\.events, events)) { fixture in
                for number in 0..<5 { _ = try await fixture.pushImage("a/b", tag: "v\(number)") }
                try await fixture.delivery.look()
                #expect(try await fixture.queued("all") == 2)
                fixture.clock.advance(by: 61)
                _ = try await fixture.pushImage("a/b", tag: "late")
                try await fixture.delivery.look()
                #expect(try await fixture.queued("all") == 1)
                try await fixture.delivering("all") { receiver.events.count == 1 }
                #expect(receiver.events.map(\.summary) == ["push a/b late"])
            }
        }
    }

    @Test("One instance at a time delivers to an endpoint, and another one when it has gone")
    func leases() async throws {
        try await RegistryFixture.run { fixture in
            let queue = EventQueue(database: fixture.database)
            #expect(try await queue.lease("e", to: "first", now: 100, until: 130))
            #expect(try await !queue.lease("e", to: "second", now: 129, until: 160))
            #expect(try await queue.lease("e", to: "first", now: 120, until: 150))
            #expect(try await !queue.lease("e", to: "second", now: 149, until: 180))
            #expect(try await queue.lease("e", to: "second", now: 150, until: 180))
            #expect(try await !queue.lease("e", to: "first", now: 151, until: 181))
            try await queue.release("e", of: "first")
            #expect(try await !queue.lease("e", to: "first", now: 151, until: 181))
            try await queue.release("e", of: "second")
            #expect(try await queue.lease("e", to: "first", now: 151, until: 181))
        }
    }
}

struct NotificationsFileTests {
    private func endpoints(_ text: String) throws -> [EventEndpoint] {
        let path = NSTemporaryDirectory() + "notifications-" + UUID().uuidString
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try NotificationsFile.endpoints(path: path)
    }

    @Test("docker-registry's own configuration is taken, with what is ours in it")
    func read() throws {
        let endpoints = try self.endpoints(
            """
            version: 0.1
            storage: {filesystem: {rootdirectory: /var/lib/registry}}
            notifications:
              events: {includereferences: true}
              endpoints:
                - name: alistener
                  disabled: false
                  url: https://my.listener.com/event
                  headers:
                    Authorization: [Bearer secret, more]
                    X-One: one
                  timeout: 1m30s
                  threshold: 10
                  backoff: 500ms
                  ignoredmediatypes: [application/octet-stream]
                  ignore:
                    mediatypes: [text/plain]
                    actions: [pull, mount]
                  repositories: [team/**]
                - name: another
                  disabled: true
                  url: https://other.example
            """
        )
        let endpoint = try #require(endpoints.first)
        #expect(endpoints.count == 1)
        #expect(endpoint.name == "alistener")
        #expect(endpoint.url.description == "https://my.listener.com/event")
        #expect(
            endpoint.headers.map { "\($0.name): \($0.value)" }.sorted() == [
                "Authorization: Bearer secret, more", "X-One: one",
            ]
        )
        #expect(endpoint.timeout == .seconds(90))
        #expect(endpoint.threshold == 10)
        #expect(endpoint.backoff == .milliseconds(500))
        #expect(endpoint.ignoredMediaTypes == ["application/octet-stream", "text/plain"])
        #expect(endpoint.ignoredActions == [.pull, .mount])
        #expect(endpoint.repositories.map(\.description) == ["team/**"])
    }

    @Test(
        "What is not understood is refused with its line",
        arguments: [
            ("- {name: a, url: 'ftp://x'}", "no HTTP URL"),
            ("- {name: a}", "a url"),
            ("- {name: a, url: 'http://x', treshold: 3}", "`treshold`"),
            ("- {name: a, url: 'http://x', timeout: soon}", "a time"),
            ("- {name: a, url: 'http://x', ignore: {actions: [touch]}}", "none of the actions"),
            ("- {name: a, url: 'http://x', repositories: ['?']}", "?"),
            ("- {name: a, url: 'http://x', headers: {'a b': [c]}}", "a header"),
        ]
    )
    func refuse(_ endpoint: String, _ reason: String) {
        #expect {
            _ = try self.endpoints("notifications:\n  endpoints:\n    \(endpoint)\n")
        } throws: { error in
            let text = "\(error)"
            return text.contains(":3: ") && text.contains(reason)
        }
    }
}
