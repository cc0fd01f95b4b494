// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import KeyStore
import NotaryAPI
import OCI
import TUF
import Testing
import TrustClient

@Suite("Pin bundles")
struct PinBundleTests {
    private static let id = KeyID(String(repeating: "a", count: 64))
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func bundle(version: Int64 = 1, days: Double = 10, refuses: Bool = false) throws -> PinBundle {
        var bundle = try PinBundle(
            name: "acme",
            expires: Expiry(Self.now.addingTimeInterval(days * 86400)),
            refusesFirstUse: refuses
        )
        bundle.version = version
        bundle.pins = [PinBundle.Pin(match: "docker.io/acme/*", anchor: .keyIDs([Self.id]))]
        return bundle
    }

    /// A machine with a directory for bundles, whose settings name keys.
    private struct Machine {
        let directory: TemporaryDirectory
        let keys: [PrivateKey]

        init(keys count: Int = 1, threshold: Int = 1) async throws {
            self.directory = try TemporaryDirectory()
            var keys: [PrivateKey] = []
            for index in 0..<count {
                let key = try await PrivateKey.generate(.ed25519)
                _ = try self.directory.file("etc/\(index).pub", try PublicKeyFile.text(key.publicKey))
                keys.append(key)
            }
            self.keys = keys
            let names = (0..<count).map { "\($0).pub" }.joined(separator: ", ")
            _ = try self.directory.file("etc/client.yaml", "pin_bundles: {keys: [\(names)], threshold: \(threshold)}\n")
        }

        func place(_ bundle: PinBundle, signedBy keys: [PrivateKey], as name: String = "acme.json") async throws {
            let file = try PinBundleFile(bundle)
            let signed = keys.isEmpty ? file : try await file.adding(signaturesOf: keys)
            _ = try self.directory.file("etc/pins.d/\(name)", String(decoding: signed.document.bytes, as: UTF8.self))
        }

        func settings() throws -> ClientSettings {
            try ClientSettings(
                trustDirectory: "\(self.directory.path)/trust",
                environment: ["XDG_CONFIG_HOME": "/nonexistent"],
                machineDirectory: "\(self.directory.path)/etc"
            )
        }

        func pins(at now: Date = PinBundleTests.now) throws -> [RootPin] {
            try self.settings().rootPins(for: try GUN("docker.io/acme/app"), at: now)
        }
    }

    private func code(_ body: () throws -> Void) -> TrustClientError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? TrustClientError)?.code
        }
    }

    @Test("bind who is on the machine, and only for the names they pin")
    func counts() async throws {
        let machine = try await Machine()
        try await machine.place(try self.bundle(refuses: true), signedBy: machine.keys)
        let pins = try machine.pins()
        #expect(pins.map(\.anchor) == [.keyIDs([Self.id])])
        let isBinding = pins.allSatisfy(\.isBinding)
        #expect(isBinding)
        let other = try GUN("docker.io/other/app")
        #expect(try machine.settings().rootPins(for: other, at: Self.now).isEmpty)
        #expect(try machine.settings().refusesFirstUse(at: Self.now)?.hasSuffix("pins.d/acme.json") == true)
    }

    @Test("need as many signatures as are asked for, of keys that are named, over what they say")
    func signatures() async throws {
        let machine = try await Machine(keys: 2, threshold: 2)
        let stranger = try await PrivateKey.generate(.ed25519)
        for signers in [[], [machine.keys[0]], [machine.keys[0], stranger], [machine.keys[0], machine.keys[0]]] {
            try await machine.place(try self.bundle(), signedBy: signers)
            #expect(self.code { _ = try machine.pins() } == .signature)
            // Who cannot tell whom to trust trusts nobody new.
            #expect(try machine.settings().anchor(for: try GUN("docker.io/other/app")) == .knownOnly)
        }
        try await machine.place(try self.bundle(), signedBy: machine.keys)
        #expect(try machine.pins().count == 1)
        let path = "\(machine.directory.path)/etc/pins.d/acme.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let changed = text.replacingOccurrences(of: "docker.io/acme/", with: "docker.io/acmf/")
        #expect(changed != text)
        try Data(changed.utf8).write(to: URL(fileURLWithPath: path))
        #expect(self.code { _ = try machine.pins() } == .signature)
    }

    @Test("are of no use to a machine that names no key")
    func noKeys() async throws {
        let machine = try await Machine()
        try await machine.place(try self.bundle(), signedBy: machine.keys)
        _ = try machine.directory.file("etc/client.yaml", "max_age: 1d\n")
        #expect(self.code { _ = try machine.pins() } == .signature)
    }

    @Test("that have expired loosen nothing: nothing is trusted until there is a newer one")
    func expiry() async throws {
        let machine = try await Machine()
        try await machine.place(try self.bundle(days: 1), signedBy: machine.keys)
        _ = try machine.pins()
        let later = Self.now.addingTimeInterval(2 * 86400)
        #expect(self.code { _ = try machine.pins(at: later) } == .expired)
        #expect(try machine.settings().refusesFirstUse(at: later) != nil)
    }

    @Test("never go back to a version before one that was seen, nor say something else in the same")
    func rollback() async throws {
        let machine = try await Machine()
        try await machine.place(try self.bundle(version: 3), signedBy: machine.keys)
        _ = try machine.pins()
        try await machine.place(try self.bundle(version: 2), signedBy: machine.keys, as: "renamed.json")
        #expect(self.code { _ = try machine.pins() } == .rollback)
        try FileManager.default.removeItem(atPath: "\(machine.directory.path)/etc/pins.d/renamed.json")
        var other = try self.bundle(version: 3)
        other.pins[0].match = "docker.io/other/*"
        try await machine.place(other, signedBy: machine.keys)
        #expect(self.code { _ = try machine.pins() } == .rollback)
        try await machine.place(try self.bundle(version: 4), signedBy: machine.keys)
        #expect(try machine.pins().count == 1)
    }

    @Test("of one name that others have signed say nothing of each other's versions")
    func namesakes() async throws {
        let machine = try await Machine()
        let stranger = try await PrivateKey.generate(.ed25519)
        let foreign = try await PinBundleFile(try self.bundle(version: 1 << 52)).adding(signaturesOf: [stranger])
        let installed = InstalledPins(trustDirectory: "\(machine.directory.path)/trust")
        try installed.remember(foreign, by: try PinSigners([stranger.publicKey], threshold: 1), path: "p")
        try await machine.place(try self.bundle(), signedBy: machine.keys)
        #expect(try machine.pins().count == 1)
    }

    @Test("are not put in the place of newer ones, whatever was seen")
    func replacing() async throws {
        let machine = try await Machine()
        try await machine.place(try self.bundle(version: 5), signedBy: machine.keys)
        let path = "\(machine.directory.path)/etc/pins.d/acme.json"
        #expect(self.code { try InstalledPins.requireNewer(try self.bundle(version: 3), than: path) } == .rollback)
        try InstalledPins.requireNewer(try self.bundle(version: 5), than: path)
        try InstalledPins.requireNewer(try self.bundle(version: 3), than: path + "x")
        _ = try machine.directory.file("etc/pins.d/acme.json", "damaged")
        try InstalledPins.requireNewer(try self.bundle(version: 3), than: path)
    }

    @Test("that cannot be reached end it: a directory's link that leads nowhere is no empty directory")
    func danglingLink() async throws {
        let machine = try await Machine()
        try FileManager.default.createSymbolicLink(
            atPath: "\(machine.directory.path)/etc/pins.d",
            withDestinationPath: "/nonexistent/pins.d"
        )
        #expect(self.code { _ = try machine.pins() } == .storage)
        #expect(try machine.settings().anchor(for: try GUN("docker.io/other/app")) == .knownOnly)
    }

    @Test("of a user count by the keys of the file beside them, whichever file is named")
    func namedFile() async throws {
        let user = try await Machine()
        try await user.place(try self.bundle(), signedBy: user.keys)
        try FileManager.default.moveItem(
            atPath: "\(user.directory.path)/etc",
            toPath: "\(user.directory.path)/hallmark"
        )
        for file in ["/dev/null", try user.directory.file("notary.json", "{}")] {
            let settings = try ClientSettings(
                trustDirectory: "\(user.directory.path)/trust",
                configurationFile: file,
                environment: ["XDG_CONFIG_HOME": user.directory.path],
                machineDirectory: "/nonexistent"
            )
            #expect(try settings.rootPins(for: try GUN("docker.io/acme/app"), at: Self.now).count == 1)
        }
    }

    @Test("of the machine bind names: a user's alias gives them no other's trust")
    func aliases() async throws {
        let machine = try await Machine()
        let file = try machine.directory.file(
            "own.yaml",
            "aliases: {acme/app: {content: evil.example/a, gun: evil.example/a}}\n"
        )
        func gun() throws -> GUN {
            try ClientSettings(
                configurationFile: file,
                environment: ["XDG_CONFIG_HOME": "/nonexistent"],
                machineDirectory: "\(machine.directory.path)/etc"
            ).gun(for: try ImageReference("acme/app"))
        }
        #expect(try gun().text == "evil.example/a")
        try await machine.place(try self.bundle(), signedBy: machine.keys)
        #expect(throws: ContentTrustError.self) { _ = try gun() }
    }

    @Test("are what they were after they are written and read, and signatures add up")
    func roundTrip() async throws {
        var bundle = try self.bundle(refuses: true)
        bundle.pins.append(PinBundle.Pin(match: "example.com/a", anchor: .keyIDs([Self.id])))
        let keys = [try await PrivateKey.generate(.ed25519), try await PrivateKey.generate(.p256)]
        let once = try await PinBundleFile(bundle).adding(signaturesOf: [keys[0]])
        let read = try PinBundleFile(once.document.bytes, path: "p")
        let twice = try await read.adding(signaturesOf: [keys[1]])
        let signers = try PinSigners(keys.map(\.publicKey), threshold: 2)
        #expect(throws: TrustClientError.self) { try once.verify(by: signers, path: "p") }
        #expect(try twice.verify(by: signers, path: "p").count == 2)
        #expect(try PinBundleFile(twice.document.bytes, path: "p").bundle == bundle)
    }

    @Test(
        "with what is not understood are refused",
        arguments: [
            ("_type", .string("root")), ("spec_version", .string("2.0")), ("version", .integer(0)),
            ("name", .string("../x")), ("first_use", .string("maybe")), ("expires", .string("soon")),
            ("extra", .bool(true)), ("pins", ["a"]), ("pins", [["match": "a"]]),
            ("pins", [["match": "a*b", "keyids": ["x"]]]),
            ("pins", [["match": "a", "keyids": ["x"]]]), ("pins", [["match": "a", "keyids": []]]),
            ("pins", [["match": "a", "ca": "x"]]),
        ] as [(String, JSONValue)]
    )
    func malformed(member: String, value: JSONValue) throws {
        var content = try #require(try self.bundle().content.object)
        content[member] = value
        #expect(throws: TUFError.self) { try PinBundle(.object(content)) }
    }
}
