// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import KeyStore
import NotaryAPI
import OCI
import RegistryClient
import TUF
import Testing
import TrustClient

@Suite("Offline bundles, against real servers")
struct OfflineBundleTests {
    private static let nowhere = "https://127.0.0.1:1"

    /// Somebody has pushed an image, and exported it.
    private func exported(
        _ body: (TestServices, TestUser, ImageReference, String) async throws -> Void
    ) async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("v1"), "one")
            try await alice.push(alice.path("v1"), to: image)
            let path = "\(services.directory)/bundle.tar"
            _ = try await alice.images().exportBundle(path, [try BundleItem(image.description)])
            try await body(services, alice, image, path)
        }
    }

    private func imported(
        _ path: String,
        by user: TestUser,
        to destination: BundleDestination = .trustOnly,
        maximumAge: Int64? = nil,
        now: @escaping @Sendable () -> Date = { Date() }
    ) async throws -> [ImportedCollection] {
        try await user.images(server: Self.nowhere, now: now).importBundle(
            try OfflineBundle(path: path),
            to: destination,
            maximumAge: maximumAge
        )
    }

    private func code(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch let error as TrustClientError {
            return "\(error.code)"
        } catch let error as ContentTrustError {
            return "\(error.code)"
        } catch let error as OCIError {
            return "\(error.code)"
        } catch {
            return "\(error)"
        }
    }

    @Test("carry an image to who reaches no server: it is verified, kept, and read from there")
    func carried() async throws {
        try await self.exported { services, _, image, path in
            let bob = try services.user("bob")
            let layout = bob.path("layout")
            let imported = try await self.imported(path, by: bob, to: .layout(layout))
            #expect(imported.map(\.gun.text) == [image.gun])
            #expect(imported.first?.firstUse != nil)
            #expect(imported.first?.images.first?.place == layout)
            #expect(try bob.layers("layout") == ["one on amd64"])
            let trusted = try await bob.images(server: Self.nowhere).resolve(image)
            #expect(trusted.digest == imported.first?.images.first?.image.digest)
            // Again it changes nothing, and is no first use.
            let again = try await self.imported(path, by: bob, to: .layout(layout))
            #expect(again.first?.firstUse == nil)
        }
    }

    @Test("bring their images into the registry of the other side")
    func pushed() async throws {
        try await self.exported { services, _, image, path in
            try await TestServices.run { inside in
                let bob = try services.user("bob")
                let imported = try await self.imported(path, by: bob, to: .registry("\(inside.registry)/mirror"))
                #expect(imported.first?.images.first?.place == "\(inside.registry)/mirror/team/app:v1")
                // Pulled by the name that is signed, from the mirror that the settings name.
                try Data("mirrors: {'*': '\(inside.registry)/mirror'}\n".utf8)
                    .write(to: URL(fileURLWithPath: bob.path("client.yaml")))
                let settings = try ClientSettings(
                    configurationFile: bob.path("client.yaml"),
                    environment: ["DOCKER_CONFIG": bob.docker, "DOCKER_CONTENT_TRUST_SERVER": Self.nowhere]
                )
                let images = TrustedImages(
                    settings: settings,
                    passphrases: FixedPassphrase(Passphrase("")),
                    logger: silent
                )
                try FileManager.default.removeItem(atPath: "\(services.directory)/registry")
                _ = try await images.pull(image, into: .init(path: bob.path("pulled"), format: .ociLayout))
                #expect(try bob.layers("pulled") == ["one on amd64"])
            }
        }
    }

    @Test("are refused when older than what is known, expired, or too old; what was known stays")
    func stale() async throws {
        try await self.exported { services, alice, image, path in
            let bob = try services.user("bob")
            try SampleLayout.write(alice.path("v2"), "two")
            try await alice.push(alice.path("v2"), to: image)
            let digest = try await bob.images().resolve(image).digest
            #expect(await self.code { _ = try await self.imported(path, by: bob) } == "rollback")
            #expect(try await bob.images(server: Self.nowhere).resolve(image).digest == digest)

            let carol = try services.user("carol")
            let layout = carol.path("layout")
            let later: @Sendable () -> Date = { Date(timeIntervalSinceNow: 30 * 86400) }
            #expect(
                await self.code { _ = try await self.imported(path, by: carol, to: .layout(layout), now: later) }
                    == "expired"
            )
            let tomorrow: @Sendable () -> Date = { Date(timeIntervalSinceNow: 86400) }
            #expect(
                await self.code {
                    _ = try await self.imported(path, by: carol, to: .layout(layout), maximumAge: 3600, now: tomorrow)
                } == "expired"
            )
            let before: @Sendable () -> Date = { Date(timeIntervalSinceNow: -86400) }
            #expect(await self.code { _ = try await self.imported(path, by: carol, now: before) } == "expired")
            #expect(!carol.exists("layout"))
            #expect(!FileManager.default.fileExists(atPath: carol.trustDirectory))
        }
    }

    /// Somebody whose settings are in a file.
    private func images(
        of user: TestUser,
        _ text: String,
        server: String = Self.nowhere,
        now: @escaping @Sendable () -> Date
    ) throws -> TrustedImages {
        let file = user.path("own.yaml")
        try FileManager.default.createDirectory(atPath: user.directory, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return TrustedImages(
            settings: try ClientSettings(
                configurationFile: file,
                environment: ["DOCKER_CONFIG": user.docker, "DOCKER_CONTENT_TRUST_SERVER": server]
            ),
            passphrases: FixedPassphrase(Passphrase("")),
            logger: silent,
            now: now
        )
    }

    @Test("are no news where the server was reached since, and the settings' age binds every caller")
    func ages() async throws {
        try await self.exported { services, _, image, path in
            let bob = try services.user("bob")
            let gun = try GUN(image.gun)
            let cache = MetadataCache(directory: bob.trustDirectory)
            let later: @Sendable () -> Date = { Date(timeIntervalSinceNow: 3600) }
            _ = try await self.images(of: bob, "max_age: 2d", server: bob.server, now: later).resolve(image)
            let confirmed = try #require(try await cache.confirmedAt(gun))
            let bundle = try OfflineBundle(path: path)
            _ = try await self.images(of: bob, "max_age: 2d", now: later)
                .importBundle(bundle, to: .trustOnly, maximumAge: nil)
            #expect(try await cache.confirmedAt(gun) == confirmed)
            let carol = try services.user("carol")
            _ = try await self.images(of: carol, "max_age: 2d", now: later)
                .importBundle(bundle, to: .trustOnly, maximumAge: nil)
            let noted = try await MetadataCache(directory: carol.trustDirectory).confirmedAt(gun)
            #expect(noted == bundle.contents.exported.date)
            let code = await self.code {
                _ = try await self.images(of: carol, "bundle_max_age: 1h", now: { Date(timeIntervalSinceNow: 86400) })
                    .importBundle(bundle, to: .trustOnly, maximumAge: 604_800)
            }
            #expect(code == "expired")
        }
    }

    @Test("whose images would take each other's place in a registry are refused before anything is pushed")
    func samePlace() async throws {
        try await self.exported { services, alice, image, _ in
            try await TestServices.run { inside in
                let other = try inside.reference("team/app:v1")
                try await alice.push(alice.path("v1"), to: other)
                let path = "\(services.directory)/both.tar"
                let items = try [image, other].map { try BundleItem($0.description) }
                _ = try await alice.images().exportBundle(path, items)
                let bob = try services.user("bob")
                let code = await self.code {
                    _ = try await self.imported(path, by: bob, to: .registry("\(inside.registry)/mirror"))
                }
                #expect(code == "bundle")
                #expect(!FileManager.default.fileExists(atPath: "\(bob.trustDirectory)/tuf"))
            }
        }
    }

    @Test("that pins do not fit are refused, and nothing is kept")
    func pinned() async throws {
        try await self.exported { services, _, _, path in
            let bob = try services.user("bob")
            let file = bob.path("client.yaml")
            try FileManager.default.createDirectory(atPath: bob.directory, withIntermediateDirectories: true)
            for text in ["pins: {'*': '\(String(repeating: "0", count: 64))'}", "first_use: refused"] {
                try Data(text.utf8).write(to: URL(fileURLWithPath: file))
                let images = TrustedImages(
                    settings: try ClientSettings(configurationFile: file, environment: ["DOCKER_CONFIG": bob.docker]),
                    passphrases: FixedPassphrase(Passphrase("")),
                    logger: silent
                )
                let code = await self.code {
                    _ = try await images.importBundle(
                        try OfflineBundle(path: path),
                        to: .layout(bob.path("layout")),
                        maximumAge: nil
                    )
                }
                #expect(code == "signature")
                #expect(!bob.exists("layout"))
                #expect(!FileManager.default.fileExists(atPath: "\(bob.trustDirectory)/tuf"))
            }
        }
    }

    /// Members of a tar file.
    private struct Member {
        var name: String
        var bytes: [UInt8]
    }

    private func members(_ path: String) throws -> [Member] {
        try TarArchive(path: path).members.map {
            Member(name: $0.name, bytes: try $0.content.open().readAll(limit: 1 << 24))
        }
    }

    private func write(_ members: [Member], _ path: String) throws {
        try? FileManager.default.removeItem(atPath: path)
        let tar = try TarWriter(creating: path)
        for member in members { try tar.add(member.name, member.bytes) }
        try tar.finish()
    }

    @Test("that somebody has changed on the way are refused, and nothing of them is kept")
    func hostile() async throws {
        try await self.exported { services, _, _, path in
            let bob = try services.user("bob")
            let good = try self.members(path)
            func index(_ suffix: String) throws -> Int { try #require(good.firstIndex { $0.name.hasSuffix(suffix) }) }
            let blob = try #require(good.lastIndex { $0.name.hasPrefix("blobs/") })
            var changes: [(String, [Member])] = []
            for name in [
                "hallmark-bundle.json", "root/1.json", "timestamp.json", "targets.json", "oci-layout", "index.json",
            ] {
                var left = good
                left.remove(at: try index(name))
                changes.append(("without \(name)", left))
            }
            var changed = good
            changed[blob].bytes[0] ^= 1
            changes.append(("another blob", changed))
            changed = good
            changed.remove(at: blob)
            changes.append(("without a blob", changed))
            for name in [
                "../evil", "/etc/evil", "evil", "trust/0/private.key",
                "blobs/sha256/\(String(repeating: "f", count: 64))",
            ] {
                changes.append(("with \(name)", good + [Member(name: name, bytes: [1])]))
            }
            changed = good
            changed.swapAt(1, 2)
            changes.append(("in another order", changed))
            changes.append(("with a member twice", good + [good[blob]]))
            changed = good
            let targets = try index("targets.json")
            changed[targets].bytes = Array(
                String(decoding: changed[targets].bytes, as: UTF8.self)
                    .replacingOccurrences(of: "\"v1\"", with: "\"v9\"").utf8
            )
            changes.append(("with other targets", changed))
            changed = good
            changed[0].bytes = Array(
                String(decoding: changed[0].bytes, as: UTF8.self)
                    .replacingOccurrences(of: ":v1\"", with: ":v2\"").utf8
            )
            changes.append(("under another tag", changed))
            let file = "\(services.directory)/hostile.tar"
            for (what, members) in changes {
                try self.write(members, file)
                let code = await self.code {
                    _ = try await self.imported(file, by: bob, to: .layout(bob.path("layout")))
                }
                #expect(code != nil, "\(what)")
                #expect(!bob.exists("layout"), "\(what)")
                #expect(!FileManager.default.fileExists(atPath: "\(bob.trustDirectory)/tuf"), "\(what)")
            }
            let whole = try #require(FileManager.default.contents(atPath: path))
            for count in [0, 100, 512, 1024, whole.count / 2, whole.count - 2048] {
                try whole.prefix(count).write(to: URL(fileURLWithPath: file))
                #expect(await self.code { _ = try await self.imported(file, by: bob) } != nil, "\(count) bytes of it")
            }
            #expect(!FileManager.default.fileExists(atPath: "\(bob.trustDirectory)/tuf"))
            // And as it was it is good.
            try self.write(good, file)
            _ = try await self.imported(file, by: bob)
        }
    }

    @Test("hold every root since the first, and never a key")
    func contents() async throws {
        try await self.exported { services, alice, image, path in
            let names = try self.members(path).map(\.name)
            #expect(
                names.prefix(5).elementsEqual([
                    "hallmark-bundle.json", "trust/0/root/1.json", "trust/0/timestamp.json", "trust/0/snapshot.json",
                    "trust/0/targets.json",
                ])
            )
            let isPrivate = names.contains { $0.contains("private") || $0.hasSuffix(".key") }
            #expect(!isPrivate)
            // It is a layout as well, which other tools read.
            let source = try ImageSource(path: path, temporaryDirectory: services.directory)
            #expect(source.format == .ociArchive)
            #expect(source.images.count == 1)
            let bundle = try OfflineBundle(path: path)
            #expect(bundle.contents.collections.first?.images.map(\.reference) == [image])
            _ = alice
        }
    }
}
