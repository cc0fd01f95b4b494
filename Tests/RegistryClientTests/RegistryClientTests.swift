// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPAccess
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import RegistryClient

private let repository: RepositoryName = {
    guard let name = try? RepositoryName("team/app") else { preconditionFailure("the name is valid") }
    return name
}()

/// Runs a test with a client that never really waits.
private func withClient(
    _ registry: FakeRegistry,
    _ credentials: any CredentialSource = FixedCredential(),
    configure: (inout RegistryClientConfiguration) -> Void = { _ in },
    _ body: (RegistryClient) async throws -> Void
) async throws {
    var configuration = RegistryClientConfiguration()
    configuration.sleep = { _ in }
    configure(&configuration)
    let client = try RegistryClient(
        registry: registry.authority,
        configuration: configuration,
        credentials: credentials,
        logger: Logger(label: "test")
    )
    do {
        try await body(client)
    } catch {
        try await client.shutdown()
        throw error
    }
    try await client.shutdown()
}

private func code(_ body: () async throws -> Void) async -> RegistryError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? RegistryError)?.code
    }
}

extension ContinuousClock.Instant {
    /// Moves, and returns where to.
    fileprivate mutating func move(by duration: Duration) -> Self {
        self = self.advanced(by: duration)
        return self
    }
}

private let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 / 17) }
private let blob = Descriptor(mediaType: .layerGzip, content: content)

/// Fetches the sample blob and gives what was handed out.
private func fetch(_ client: RegistryClient) async throws -> [UInt8] {
    var received: [UInt8] = []
    try await client.getBlob(repository, blob) { received.append(contentsOf: $0.readableBytesView) }
    return received
}

struct BlobDownloadTests {
    @Test("A registry on loopback that speaks plain HTTP is found by trying TLS first")
    func plainFallback() async throws {
        try await FakeRegistry.run { registry in
            registry.state.withLock { $0.blobs[blob.digest.description] = content }
            try await withClient(registry) { client in
                try await client.ping()
                let received = try await fetch(client)
                #expect(received == content)
                #expect(try await client.headBlob(repository, blob.digest) == blob.size)
                #expect(try await client.headBlob(repository, Digest(hashing: [])) == nil)
            }
        }
    }

    @Test("Other content than the digest's is refused")
    func wrongContent() async throws {
        try await FakeRegistry.run { registry in
            var wrong = content
            wrong[77] ^= 1
            registry.state.withLock { [wrong] in $0.blobs[blob.digest.description] = wrong }
            try await withClient(registry) { client in
                #expect(await code { _ = try await fetch(client) } == .digestMismatch)
            }
        }
    }

    @Test("A body longer than the descriptor is refused, announced or endless")
    func longerContent() async throws {
        try await FakeRegistry.run { registry in
            registry.state.withLock { $0.blobs[blob.digest.description] = content + [0] }
            try await withClient(registry) { client in
                #expect(await code { _ = try await fetch(client) } == .digestMismatch)
                registry.intercept { request, _ in
                    request.path.contains("/blobs/") ? .init(status: .ok, body: content, isEndless: true) : nil
                }
                #expect(await code { _ = try await fetch(client) } == .digestMismatch)
            }
        }
    }

    @Test(
        "After a cut the blob goes on by range, and by skipping where the registry has no ranges",
        arguments: [true, false]
    )
    func resume(hasRanges: Bool) async throws {
        try await FakeRegistry.run { registry in
            registry.state.withLock { $0.blobs[blob.digest.description] = content }
            registry.intercept { request, state in
                guard request.path.contains("/blobs/") else { return nil }
                let count = state.requests.filter { $0.path.contains("/blobs/") }.count
                if count == 1 { return .init(status: .ok, body: content, cutsAfter: 1_000_000) }
                return hasRanges ? nil : .init(status: .ok, body: content)
            }
            try await withClient(registry) { client in
                let received = try await fetch(client)
                #expect(received == content)
                let range = registry.requests(.GET, "/blobs/").last?.headers.first(name: "Range")
                #expect(range?.hasPrefix("bytes=") == true && range != "bytes=0-")
            }
        }
    }

    @Test("A part that is not the one asked for is refused")
    func wrongRange() async throws {
        try await FakeRegistry.run { registry in
            registry.intercept { request, state in
                guard request.path.contains("/blobs/") else { return nil }
                guard request.headers.contains(name: "Range") else {
                    return .init(status: .ok, body: content, cutsAfter: 1_000_000)
                }
                return .init(
                    status: .partialContent,
                    headers: ["Content-Range": "bytes 5-9/10"],
                    body: [1, 2, 3, 4, 5]
                )
            }
            try await withClient(registry) { client in
                #expect(await code { _ = try await fetch(client) } == .invalidResponse)
            }
        }
    }

    @Test("5xx and 429 are tried again, other refusals are not")
    func repetitions() async throws {
        try await FakeRegistry.run { registry in
            registry.state.withLock { $0.blobs[blob.digest.description] = content }
            registry.intercept { request, state in
                guard request.path.contains("/blobs/") else { return nil }
                switch state.requests.filter({ $0.path.contains("/blobs/") }).count {
                case 1: return .init(status: .serviceUnavailable)
                case 2: return .init(status: .tooManyRequests, headers: ["Retry-After": "1"])
                default: return nil
                }
            }
            try await withClient(registry) { client in
                let received = try await fetch(client)
                #expect(received == content)
                #expect(registry.requests(.GET, "/blobs/").count == 3)
                registry.intercept { _, _ in FakeRegistry.error(.forbidden, "DENIED") }
                #expect(await code { _ = try await fetch(client) } == .denied)
                #expect(registry.requests(.GET, "/blobs/").count == 4)
            }
        }
    }

    @Test("A registry that is not there is unreachable")
    func unreachable() async throws {
        var configuration = RegistryClientConfiguration()
        configuration.sleep = { _ in }
        // A port that no server of another test is given.
        let client = try RegistryClient(
            registry: "127.0.0.1:1",
            configuration: configuration,
            credentials: FixedCredential(),
            logger: Logger(label: "test")
        )
        #expect(await code { try await client.ping() } == .unreachable)
        try await client.shutdown()
    }

    @Test("What a registry says is shown without control characters")
    func printable() async throws {
        try await FakeRegistry.run { registry in
            try await withClient(registry) { client in
                do {
                    _ = try await client.getManifest(repository, Reference("none"))
                    Issue.record("there is no such manifest")
                } catch let error as RegistryError {
                    #expect(error.code == .notFound)
                    #expect(error.message.contains("MANIFEST_UNKNOWN"))
                    #expect(!error.message.contains("\u{1B}"))
                }
            }
        }
    }
}

struct ManifestDownloadTests {
    @Test("A manifest is checked against the digest and size it was asked for by, and against the header")
    func manifests() async throws {
        let bytes = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)
        let digest = Digest(hashing: bytes)
        try await FakeRegistry.run { registry in
            try await withClient(registry) { client in
                let tag = try Reference("1")
                try await client.putManifest(repository, tag, bytes: bytes, mediaType: .imageIndex)
                #expect(try await client.headManifest(repository, tag).digest == digest)
                let fetched = try await client.getManifest(repository, .digest(digest), size: Int64(bytes.count))
                #expect(fetched.bytes == bytes)
                #expect(fetched.descriptor.mediaType == .imageIndex)
                for size in [bytes.count - 1, bytes.count + 1] {
                    #expect(
                        await code { _ = try await client.getManifest(repository, tag, size: Int64(size)) }
                            == .digestMismatch
                    )
                }
                registry.state.withLock { state in
                    for key in state.manifests.keys { state.manifests[key]?.bytes.append(0x20) }
                }
                #expect(await code { _ = try await client.getManifest(repository, .digest(digest)) } == .digestMismatch)
                #expect(try await client.getManifest(repository, tag).bytes == bytes + [0x20])
                registry.intercept { request, _ in
                    request.path.contains("/manifests/")
                        ? .init(
                            status: .ok,
                            headers: ["Docker-Content-Digest": digest.description],
                            body: bytes + [0x0A]
                        ) : nil
                }
                #expect(await code { _ = try await client.getManifest(repository, tag) } == .digestMismatch)
                registry.intercept { request, _ in
                    request.path.contains("/manifests/")
                        ? .init(status: .ok, body: [UInt8](repeating: 0x20, count: 1 << 20), isEndless: true) : nil
                }
                #expect(await code { _ = try await client.getManifest(repository, tag) } == .digestMismatch)
            }
        }
    }

    @Test("Tags are listed over all pages, and a list that leads elsewhere or in a circle is refused")
    func pages() async throws {
        try await FakeRegistry.run { registry in
            try await withClient(registry) { client in
                registry.intercept { request, _ in
                    guard request.path.hasSuffix("/tags/list") else { return nil }
                    let isLast = request.query["last"] != nil
                    let link = #"</v2/team/app/tags/list?n=1000&last=a>; rel="next""#
                    return .init(
                        status: .ok,
                        headers: isLast ? [:] : ["Link": link],
                        body: Array((isLast ? #"{"tags":["b"]}"# : #"{"tags":["a"]}"#).utf8)
                    )
                }
                let tags = try await client.listTags(repository)
                #expect(tags.map(\.description) == ["a", "b"])
                for link in ["</v2/team/app/tags/list?n=1>; rel=next", "<https://other.example/>; rel=next"] {
                    registry.intercept { request, _ in
                        request.path.hasSuffix("/tags/list")
                            ? .init(status: .ok, headers: ["Link": link], body: Array(#"{"tags":[]}"#.utf8)) : nil
                    }
                    #expect(await code { _ = try await client.listTags(repository) } == .invalidResponse)
                }
            }
        }
    }
}

struct AuthenticationTests {
    @Test("A challenge for a password is answered with it, and without one the request is unauthorized")
    func basic() async throws {
        try await FakeRegistry.run { registry in
            registry.intercept { request, _ in
                request.authorization == "Basic dXNlcjpwYXNz"
                    ? nil : .init(status: .unauthorized, headers: ["WWW-Authenticate": #"Basic realm="x""#])
            }
            try await withClient(registry, FixedCredential(.password(username: "user", password: "pass"))) { client in
                try await client.ping()
            }
            try await withClient(registry) { client in
                #expect(await code { try await client.ping() } == .unauthorized)
            }
        }
    }

    /// Hands out tokens that hold the scope, and wants them.
    private func tokenService(_ registry: FakeRegistry) {
        let authority = registry.authority
        registry.intercept { request, state in
            if request.path == "/token" {
                let isOAuth = request.method == .POST
                let isUser = request.authorization == "Basic dXNlcjpwYXNz"
                let isRefresh =
                    isOAuth && String(decoding: request.body, as: UTF8.self).contains("refresh_token=secret")
                guard isUser || isRefresh else { return .init(status: .unauthorized) }
                let count = state.requests.filter { $0.path == "/token" }.count
                return .init(status: .ok, body: Array(#"{"token":"t\#(count)","expires_in":300}"#.utf8))
            }
            guard request.authorization?.hasPrefix("Bearer t") == true else {
                let challenge =
                    #"Bearer realm="http://\#(authority)/token",service="s",scope="repository:team/app:pull""#
                return .init(status: .unauthorized, headers: ["WWW-Authenticate": challenge])
            }
            return nil
        }
    }

    @Test("A registry that feeds a body too slowly is left, as one is that cuts it off after each byte")
    func slow() async throws {
        try await FakeRegistry.run { registry in
            // How much time each look at the clock finds passed.
            let step = Mutex(Duration.seconds(10))
            let instant = Mutex(ContinuousClock.now)
            try await withClient(registry) { configuration in
                configuration.minimumBytesPerWindow = 2_000_000
                configuration.now = { instant.withLock { $0.move(by: step.withLock { $0 }) } }
            } _: { client in
                let piece = [UInt8](repeating: 0x20, count: 16 << 10)
                registry.intercept { request, _ in
                    request.path.contains("team") ? .init(status: .ok, body: piece, isEndless: true) : nil
                }
                #expect(await code { _ = try await fetch(client) } == .tooSlow)
                let tag = Reference.tag(try Tag("latest"))
                #expect(await code { _ = try await client.getManifest(repository, tag) } == .tooSlow)
                #expect(registry.requests(.GET, "team").count == 2)

                step.withLock { $0 = .milliseconds(1) }
                registry.intercept { _, _ in nil }
                registry.state.withLock { $0.blobs[blob.digest.description] = content }
                #expect(try await fetch(client) == content)

                let before = registry.requests(.GET, "/blobs/").count
                registry.intercept { request, _ in request.path.contains("/blobs/") ? Self.oneByte(request) : nil }
                #expect(await code { _ = try await fetch(client) } == .unreachable)
                #expect(registry.requests(.GET, "/blobs/").count - before == client.configuration.maximumAttempts)
            }
        }
    }

    /// The part of the sample blob that is asked for, cut off after its first byte.
    private static func oneByte(_ request: FakeRegistry.Request) -> FakeRegistry.Reply {
        let first = request.headers.first(name: "Range").flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
        var reply = FakeRegistry.Reply(status: .ok, body: Array(content[first...]), cutsAfter: 1)
        if first > 0 {
            reply.status = .partialContent
            reply.headers = ["Content-Range": "bytes \(first)-\(content.count - 1)/\(content.count)"]
        }
        return reply
    }

    @Test("A registry whose answer does not begin is left")
    func silent() async throws {
        try await FakeRegistry.run { registry in
            registry.intercept { request, _ in request.path.contains("team") ? .init(status: .ok, isSilent: true) : nil
            }
            try await withClient(registry) { configuration in
                configuration.answerTimeout = .milliseconds(200)
                configuration.maximumAttempts = 2
            } _: { client in
                #expect(await code { _ = try await fetch(client) } == .unreachable)
            }
        }
    }

    @Test("A token is fetched for the scope, used until it expires, and fetched again then")
    func tokens() async throws {
        try await FakeRegistry.run { registry in
            self.tokenService(registry)
            registry.state.withLock { $0.blobs[blob.digest.description] = content }
            let clock = SharedClock(ContinuousClock.now)
            var configuration = RegistryClientConfiguration()
            configuration.sleep = { _ in }
            configuration.now = { clock.now }
            let client = try RegistryClient(
                registry: registry.authority,
                configuration: configuration,
                credentials: FixedCredential(.password(username: "user", password: "pass")),
                logger: Logger(label: "test")
            )
            _ = try await client.headBlob(repository, blob.digest)
            _ = try await client.headBlob(repository, blob.digest)
            #expect(registry.requests(.GET, "/token").count == 1)
            let query = try #require(registry.requests(.GET, "/token").first?.query)
            #expect(query["service"] == "s")
            #expect(query["scope"] == "repository:team/app:pull")
            clock.advance(by: .seconds(299))
            _ = try await client.headBlob(repository, blob.digest)
            #expect(registry.requests(.GET, "/token").count == 2)
            try await client.shutdown()
        }
    }

    @Test("An identity token is sent as a refresh token by POST")
    func identityToken() async throws {
        try await FakeRegistry.run { registry in
            self.tokenService(registry)
            try await withClient(registry, FixedCredential(.identityToken("secret"))) { client in
                try await client.ping()
                let form = registry.requests(.POST, "/token").first.map { String(decoding: $0.body, as: UTF8.self) }
                #expect(form?.contains("grant_type=refresh_token") == true)
                #expect(form?.contains("service=s") == true)
            }
            try await withClient(registry, FixedCredential(.password(username: "user", password: "wrong"))) { client in
                #expect(await code { try await client.ping() } == .unauthorized)
            }
        }
    }

    @Test("A redirect to another host is followed without credentials")
    func redirect() async throws {
        try await FakeRegistry.run { storage in
            storage.intercept { request, _ in
                request.authorization == nil ? .init(status: .ok, body: content) : .init(status: .forbidden)
            }
            let authority = storage.authority
            try await FakeRegistry.run { registry in
                registry.intercept { request, _ in
                    guard request.authorization != nil else {
                        return .init(status: .unauthorized, headers: ["WWW-Authenticate": "Basic realm=x"])
                    }
                    guard request.path.contains("/blobs/") else { return nil }
                    return .init(status: .temporaryRedirect, headers: ["Location": "http://\(authority)/data?signed=1"])
                }
                let credential = FixedCredential(.password(username: "user", password: "pass"))
                try await withClient(registry, credential) { client in
                    let received = try await fetch(client)
                    #expect(received == content)
                    #expect(storage.requests(.GET).map(\.authorization) == [nil])
                }
            }
        }
    }

    @Test("Redirects in a circle end")
    func redirectCircle() async throws {
        try await FakeRegistry.run { registry in
            registry.intercept { request, _ in
                request.path.contains("/blobs/") ? .init(status: .found, headers: ["Location": request.path]) : nil
            }
            try await withClient(registry) { client in
                #expect(await code { _ = try await fetch(client) } == .invalidResponse)
            }
        }
    }
}

/// A clock that a test moves.
private final class SharedClock: Sendable {
    private let instant: Mutex<ContinuousClock.Instant>

    init(_ instant: ContinuousClock.Instant) {
        self.instant = Mutex(instant)
    }

    var now: ContinuousClock.Instant { self.instant.withLock { $0 } }

    func advance(by duration: Duration) {
        self.instant.withLock { $0 += duration }
    }
}

struct TransferTests {
    private let directory: String

    init() throws {
        self.directory = FileManager.default.temporaryDirectory.path + "/hallmark-client-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
    }

    private func remove() {
        try? FileManager.default.removeItem(atPath: self.directory)
    }

    private func file() throws -> FileRange {
        let path = self.directory + "/content"
        try Data([9] + content).write(to: URL(fileURLWithPath: path))
        return FileRange(path: path, offset: 1, length: blob.size)
    }

    @Test("A blob is uploaded once, mounted where it can be, and taken up after a cut")
    func uploads() async throws {
        defer { self.remove() }
        let range = try self.file()
        try await FakeRegistry.run { registry in
            registry.state.withLock { $0.cutsPatchAfter = 500_000 }
            try await withClient(registry) { client in
                #expect(try await client.uploadBlob(repository, blob, from: .file(range)) == .uploaded)
                #expect(registry.state.withLock { $0.blobs[blob.digest.description] } == content)
                let patches = registry.requests(.PATCH)
                #expect(patches.count == 2)
                #expect(patches.last?.headers.first(name: "Content-Range")?.hasSuffix("-\(blob.size - 1)") == true)
                #expect((patches.last?.body.count ?? .max) < content.count)
                #expect(try await client.uploadBlob(repository, blob, from: .file(range)) == .existed)
                registry.intercept { request, _ in
                    request.method == .HEAD && request.path.contains("/blobs/") ? .init(status: .notFound) : nil
                }
                let other = try RepositoryName("other")
                #expect(try await client.uploadBlob(other, blob, from: .file(range), mountFrom: repository) == .mounted)
                let mount = registry.requests(.POST).last?.query
                #expect(mount?["from"] == "team/app")
            }
        }
    }

    @Test("Content that the registry finds to be other is a mismatch")
    func wrongUpload() async throws {
        defer { self.remove() }
        let range = try self.file()
        try await FakeRegistry.run { registry in
            try await withClient(registry) { client in
                let wrong = Descriptor(mediaType: .layer, digest: Digest(hashing: [1]), size: blob.size)
                #expect(
                    await code { _ = try await client.uploadBlob(repository, wrong, from: .file(range)) }
                        == .digestMismatch
                )
            }
        }
    }

    /// A layout with an index of two images that share a layer.
    private func makeLayout() throws -> (source: ImageSource, index: Descriptor) {
        let layout = try ImageDestination(path: self.directory + "/layout", format: .ociLayout)
        try layout.put(content, blob)
        let entries = try ["amd64", "arm64"].map { architecture in
            let config = Array(
                #"{"architecture":"\#(architecture)","os":"linux","rootfs":{"type":"layers","diff_ids":["\#(blob.digest)"]}}"#
                    .utf8
            )
            let configDescriptor = Descriptor(mediaType: .imageConfig, content: config)
            try layout.put(config, configDescriptor)
            let manifest = Array(
                """
                {"schemaVersion":2,"config":{"mediaType":"\(MediaType.imageConfig)","digest":"\(configDescriptor.digest)",
                "size":\(config.count)},"layers":[{"mediaType":"\(MediaType.layerGzip)","digest":"\(blob.digest)","size":\(blob.size)}]}
                """.utf8
            )
            let descriptor = Descriptor(mediaType: .imageManifest, content: manifest)
            try layout.put(manifest, descriptor)
            return """
                {"mediaType":"\(MediaType.imageManifest)","digest":"\(descriptor.digest)","size":\(manifest.count),
                "platform":{"os":"linux","architecture":"\(architecture)"}}
                """
        }
        let index = Array(#"{"schemaVersion":2,"manifests":[\#(entries.joined(separator: ","))]}"#.utf8)
        let descriptor = Descriptor(mediaType: .imageIndex, content: index)
        try layout.put(index, descriptor)
        try layout.commit([.init(descriptor: descriptor, names: [ImageReference("app:1")])])
        let source = try ImageSource(path: self.directory + "/layout", temporaryDirectory: self.directory + "/tmp")
        return (source, descriptor)
    }

    @Test("An index is pushed bottom up and pulled back whole, or one platform of it")
    func roundTrip() async throws {
        defer { self.remove() }
        let (source, index) = try self.makeLayout()
        try await FakeRegistry.run { registry in
            try await withClient(registry) { client in
                let collector = EventCollector()
                let pusher = ImagePusher(client: client, progress: { collector.add($0) })
                let pushed = try await pusher.push(
                    source,
                    source.image(named: "1").descriptor,
                    to: repository,
                    tag: Tag("1")
                )
                #expect(pushed == index)
                #expect(collector.events.contains(.finished(blob)))
                let order = registry.requests(.PUT).map(\.path)
                #expect(order.last == "/v2/team/app/manifests/1")
                #expect(order.filter { $0.contains("/manifests/sha256:") }.count == 2)
                #expect(registry.requests(.POST).count == 3)

                let all = try ImageDestination(path: self.directory + "/all.tar", format: .ociArchive)
                let name = try ImageReference("app:1")
                let puller = ImagePuller(client: client)
                let top = try await puller.pull(
                    index.digest,
                    size: index.size,
                    from: repository,
                    into: all,
                    names: [name]
                )
                #expect(top == index)
                let read = try ImageSource(path: self.directory + "/all.tar", temporaryDirectory: self.directory)
                #expect(try read.manifest(read.image(named: "1").descriptor).manifests.count == 2)
                #expect(try read.content(blob)?.open().digest() == blob.digest)

                let one = try ImageDestination(path: self.directory + "/one", format: .ociLayout)
                let child = try await puller.pull(
                    index.digest,
                    from: repository,
                    platform: Platform("linux/arm64/v8"),
                    into: one,
                    names: [name]
                )
                #expect(try child.digest == source.manifest(index).manifests.last?.digest)
                await #expect(throws: OCIError.self) {
                    try await puller.pull(
                        index.digest,
                        from: repository,
                        platform: Platform("linux/s390x"),
                        into: one,
                        names: []
                    )
                }
            }
        }
    }

    @Test("An image with one changed byte in the registry is not handed over")
    func changedByte() async throws {
        defer { self.remove() }
        let (source, index) = try self.makeLayout()
        try await FakeRegistry.run { registry in
            try await withClient(registry) { client in
                _ = try await ImagePusher(client: client).push(source, index, to: repository)
                registry.state.withLock { $0.blobs[blob.digest.description]?[100] ^= 1 }
                let path = self.directory + "/out.tar"
                let result = await code {
                    let destination = try ImageDestination(path: path, format: .ociArchive)
                    _ = try await ImagePuller(client: client).pull(
                        index.digest,
                        from: repository,
                        into: destination,
                        names: []
                    )
                }
                #expect(result == .digestMismatch)
                let left = try FileManager.default.contentsOfDirectory(atPath: self.directory)
                #expect(!left.contains { $0.hasPrefix("out.tar") })
            }
        }
    }
}

private final class EventCollector: Sendable {
    private let collected = Mutex<[TransferEvent]>([])

    var events: [TransferEvent] { self.collected.withLock { $0 } }

    func add(_ event: TransferEvent) {
        self.collected.withLock { $0.append(event) }
    }
}
