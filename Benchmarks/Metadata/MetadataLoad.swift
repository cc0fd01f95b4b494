// SPDX-License-Identifier: Apache-2.0

import Crypto
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
               hallmark-metadata hostile ROUNDS SIZE
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
        if arguments.count == 3, arguments[0] == "hostile", let rounds = Int(arguments[1]), rounds > 0,
            let size = Int(arguments[2]), size > 0
        {
            return try await self.hostile(rounds: rounds, size: size)
        }
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
        var (peak, own) = (0, 0)
        var entries = 0
        for _ in 0..<self.rounds {
            let start = self.clock.now
            let verified: Verified<Content> = try self.verified(role)
            loads.append(self.clock.now - start)
            entries = count(verified.payload)
            if loads.count == 1 { withExtendedLifetime(verified) { (peak, own) = (Self.peakKiB, Self.ownKiB) } }
        }
        self.report(["load": loads], count: entries, peak: peak, own: own)
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

    /// How much longer each of ``HostileInputs`` takes than metadata of that size with nothing wrong.
    private static func hostile(rounds: Int, size: Int) async throws {
        let key = Ed25519Key(key: Curve25519.Signing.PrivateKey())
        let hostile = try await HostileInputs(key: key, size: size)
        let clock = ContinuousClock()

        func median(_ input: HostileInputs.Input) throws -> Double {
            let keys = RoleKeys(role: input.role, keys: [try key.publicKey.spelled(in: .tuf)], threshold: 1)
            let times = (0..<rounds).map { _ in
                clock.measure {
                    guard let metadata = try? UnverifiedMetadata(input.bytes, format: .tuf) else { return }
                    switch input.role {
                    case .root: _ = try? metadata.verified(as: Root.self, by: keys)
                    case .snapshot: _ = try? metadata.verified(as: Snapshot.self, by: keys)
                    case .timestamp: _ = try? metadata.verified(as: Timestamp.self, by: keys)
                    default: _ = try? metadata.verified(as: Targets.self, by: keys)
                    }
                } / .milliseconds(1)
            }
            return times.sorted()[rounds / 2]
        }

        let valid = try median(.init(name: "valid", role: .targets, bytes: try await hostile.valid()))
        let results = try hostile.inputs.map { (name: $0.name, ratio: try median($0) / valid) }
        let list = results.sorted { $0.ratio > $1.ratio }.map { "\"\($0.name)\": \($0.ratio)" }
        print("{\"validMilliseconds\": \(valid), \"ratios\": {\(list.joined(separator: ", "))}}")
    }

    private func report(_ times: [String: [Duration]], count: Int, peak: Int, own: Int = 0) {
        let lists = times.map { name, durations in
            "\"\(name)\": [\(durations.map { "\($0 / .seconds(1))" }.joined(separator: ", "))]"
        }
        let memory = "\"peakKiB\": \(peak), \"ownKiB\": \(own)"
        print("{\"count\": \(count), \(memory), \(lists.sorted().joined(separator: ", "))}")
    }

    /// The memory that is resident and of no file: without the program and the libraries.
    private static var ownKiB: Int { self.status("RssAnon:") }

    /// The most memory that was resident until now. What getrusage says would count the process that started this one.
    private static var peakKiB: Int { self.status("VmHWM:") }

    private static func status(_ name: String) -> Int {
        let file = open("/proc/self/status", O_RDONLY)
        defer { close(file) }
        let status = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, Glibc.read(file, buffer.baseAddress, buffer.count))
        }
        let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
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
