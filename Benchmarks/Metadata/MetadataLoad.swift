// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import TUF

#if canImport(Glibc)
import Glibc
#endif

/// Does with one targets file what a client and a repository do with it, and says how long that took: the counterpart of
/// `tuf_peer.py`. Prints one JSON object.
@main
struct MetadataLoad {
    static let usage = "usage: hallmark-metadata load|lookup|add ROOT TARGETS [PATH [SEED OUTPUT]]"

    let root: Root
    let targets: String
    let clock = ContinuousClock()

    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count >= 3, let verb = arguments.first else { throw Failure(message: Self.usage) }
        let rest = Array(arguments.dropFirst())
        let unverified = try UnverifiedMetadata(try Self.read(rest[0]), format: .tuf)
        let root = try Root(try JSONParser.parse(try Self.read(rest[0]))["signed"] ?? .null, format: .tuf)
        _ = try root.keys(of: .root).verify(unverified)
        let load = MetadataLoad(root: root, targets: rest[1])
        switch (verb, rest.count) {
        case ("load", 2): try load.load()
        case ("lookup", 3): try load.lookup(rest[2])
        case ("add", 5): try await load.add(rest[2], seed: rest[3], output: rest[4])
        default: throw Failure(message: Self.usage)
        }
    }

    /// Reads and verifies the file.
    func verified() throws -> Verified<Targets> {
        try UnverifiedMetadata(try Self.read(self.targets), format: .tuf).verified(by: try self.root.keys(of: .targets))
    }

    func load() throws {
        let start = self.clock.now
        let verified = try self.verified()
        self.report(["load": self.clock.now - start], count: verified.payload.targets.count)
    }

    func lookup(_ path: String) throws {
        let targets = try self.verified().payload.targets
        let start = self.clock.now
        guard let found = targets[path] else { throw Failure(message: "\(path) is not there") }
        let elapsed = self.clock.now - start
        guard found.length > 0, targets[path + "?"] == nil else { throw Failure(message: "found what is not there") }
        self.report(["lookup": elapsed], count: targets.count)
    }

    func add(_ path: String, seed: String, output: String) async throws {
        guard let seed = Hexadecimal.decode(seed) else { throw Failure(message: Self.usage) }
        let key = Ed25519Key(key: try Curve25519.Signing.PrivateKey(rawRepresentation: seed))
        var start = self.clock.now
        var targets = try self.verified().payload
        let loaded = self.clock.now - start
        start = self.clock.now
        targets.targets[path] = TargetFile(length: 1, hashes: Hashes(sha256: Array(SHA256.hash(data: [0]))))
        targets.version += 1
        let edited = self.clock.now
        let signed = try await targets.signed(by: [key], format: .tuf)
        let ended = self.clock.now
        try Self.write(signed.bytes, to: output)
        self.report(
            [
                "load": loaded, "add": self.clock.now - start, "edit": edited - start, "sign": ended - edited,
                "write": self.clock.now - ended,
            ],
            count: targets.targets.count
        )
    }

    private func report(_ durations: [String: Duration], count: Int) {
        let seconds = durations.map { "\"\($0.key)\": \($0.value / .seconds(1))" }.sorted()
        print("{\"count\": \(count), \(seconds.joined(separator: ", "))}")
    }

    private static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        guard size >= 0 else { throw Failure(message: "cannot read \(path)") }
        return try Array(unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let read = pread(file, buffer.baseAddress.map { $0 + count }, size - count, off_t(count))
                guard read > 0 else { throw Failure(message: "cannot read \(path)") }
                count += read
            }
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        let file = creat(path, 0o644)
        defer { close(file) }
        try bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let written = Glibc.write(file, bytes.baseAddress.map { $0 + offset }, bytes.count - offset)
                guard written > 0 else { throw Failure(message: "cannot write \(path)") }
                offset += written
            }
        }
    }
}

struct Failure: Error, CustomStringConvertible {
    let message: String
    var description: String { self.message }
}

struct Ed25519Key: SigningKey {
    let key: Curve25519.Signing.PrivateKey

    var publicKey: PublicKey { PublicKey(type: .ed25519, bytes: Array(self.key.publicKey.rawRepresentation)) }

    func sign(_ message: [UInt8]) async throws -> Signature {
        Signature(keyID: self.publicKey.id, method: .eddsa, bytes: Array(try self.key.signature(for: message)))
    }
}
