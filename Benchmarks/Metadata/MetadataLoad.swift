// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import TUF

#if canImport(Glibc)
import Glibc
#endif

/// Does with one metadata file what clients and repositories do with it, again and again, and says how long each time took:
/// the counterpart of `tuf_peer.py`. Prints one JSON object.
@main
struct MetadataLoad {
    static let usage = """
        usage: hallmark-metadata load ROOT FILE ROUNDS targets|snapshot
               hallmark-metadata lookup ROOT FILE ROUNDS PATH...
               hallmark-metadata add ROOT FILE ROUNDS PATH SEED OUTPUT
        """

    let root: Root
    let file: String
    let rounds: Int
    let clock = ContinuousClock()

    static func main() async {
        do {
            try await self.run()
        } catch {
            Array("\(error)\n".utf8).withUnsafeBytes { _ = Glibc.write(2, $0.baseAddress, $0.count) }
            exit(1)
        }
    }

    private static func run() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count > 4, let rounds = Int(arguments[3]), rounds > 0 else {
            throw Failure(message: Self.usage)
        }
        let bytes = try Self.read(arguments[1])
        let root = try Root(try JSONParser.parse(bytes)["signed"] ?? .null, format: .tuf)
        try root.keys(of: .root).verify(try UnverifiedMetadata(bytes, format: .tuf))
        let load = MetadataLoad(root: root, file: arguments[2], rounds: rounds)
        let rest = Array(arguments.dropFirst(4))
        switch (arguments[0], rest.count) {
        case ("load", 1) where rest[0] == "targets":
            try load.load(.targets) { (targets: Targets) in targets.targets.count }
        case ("load", 1): try load.load(.snapshot) { (snapshot: Snapshot) in snapshot.meta.count }
        case ("lookup", _): try load.lookup(rest)
        case ("add", 3): try await load.add(rest[0], seed: rest[1], output: rest[2])
        default: throw Failure(message: Self.usage)
        }
    }

    /// Reads and verifies the file.
    func verified<Content: Payload>(_ role: RoleName) throws -> Verified<Content> {
        try UnverifiedMetadata(try Self.read(self.file), format: .tuf).verified(by: try self.root.keys(of: role))
    }

    func load<Content: Payload>(_ role: RoleName, count: (Content) -> Int) throws {
        var loads: [Duration] = []
        var peak = 0
        var entries = 0
        for _ in 0..<self.rounds {
            let start = self.clock.now
            let verified: Verified<Content> = try self.verified(role)
            loads.append(self.clock.now - start)
            entries = count(verified.payload)
            if loads.count == 1 { peak = Self.peakKiB }
        }
        self.report(["load": loads], count: entries, peak: peak)
    }

    func lookup(_ paths: [String]) throws {
        let start = self.clock.now
        let verified: Verified<Targets> = try self.verified(.targets)
        let targets = verified.payload.targets
        var times = ["load": [self.clock.now - start], "lookup": []]
        for _ in 0..<self.rounds {
            for path in paths {
                let start = self.clock.now
                let found = targets[path]
                times["lookup"]?.append(self.clock.now - start)
                guard found?.hashes.sha256?.count == 32, targets[path + "?"] == nil else {
                    throw Failure(message: "\(path) is not there, or what is not there is")
                }
            }
        }
        self.report(times, count: targets.count, peak: Self.peakKiB)
    }

    func add(_ path: String, seed: String, output: String) async throws {
        guard let seed = Hexadecimal.decode(seed) else { throw Failure(message: Self.usage) }
        let key = Ed25519Key(key: try Curve25519.Signing.PrivateKey(rawRepresentation: seed))
        let start = self.clock.now
        let verified: Verified<Targets> = try self.verified(.targets)
        var times = ["load": [self.clock.now - start], "add": [], "sign": [], "write": []]
        var peak = 0
        for _ in 0..<self.rounds {
            let start = self.clock.now
            var targets = verified.payload
            targets.targets[path] = TargetFile(length: 1, hashes: Hashes(sha256: Array(SHA256.hash(data: [0]))))
            targets.version += 1
            let edited = self.clock.now
            let signed = try await targets.signed(by: [key], format: .tuf)
            let ended = self.clock.now
            try Self.write(signed.bytes, to: output)
            times["add"]?.append(self.clock.now - start)
            times["sign"]?.append(ended - edited)
            times["write"]?.append(self.clock.now - ended)
            if peak == 0 { peak = Self.peakKiB }
        }
        self.report(times, count: verified.payload.targets.count + 1, peak: peak)
    }

    private func report(_ times: [String: [Duration]], count: Int, peak: Int) {
        let lists = times.map { name, durations in
            "\"\(name)\": [\(durations.map { "\($0 / .seconds(1))" }.joined(separator: ", "))]"
        }
        print("{\"count\": \(count), \"peakKiB\": \(peak), \(lists.sorted().joined(separator: ", "))}")
    }

    /// The most memory that was resident until now.
    private static var peakKiB: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss
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
