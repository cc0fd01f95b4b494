// SPDX-License-Identifier: Apache-2.0

import TUF
import Updater

#if canImport(Glibc)
import Glibc
#endif

/// Refreshes from a repository again and again, and says how long each time took: the counterpart of `tuf_peer.py refresh`.
/// Prints one JSON object.
@main
struct UpdaterLoad {
    static let usage = """
        usage: hallmark-updater refresh ROOT DIRECTORY URL ROUNDS [PATH]
        """

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
        guard [5, 6].contains(arguments.count), arguments[0] == "refresh", let rounds = Int(arguments[4]), rounds > 0
        else { throw Failure(message: Self.usage) }
        let root = try Self.read(arguments[1])
        let url = arguments[3]
        let path = arguments.count == 6 ? arguments[5] : nil
        var server = try RepositoryServer(metadata: "\(url)/metadata", targets: "\(url)/targets")
        server.proxy = .none
        let clock = ContinuousClock()
        var times: [String: [Double]] = ["refresh": [], "refreshCPU": [], "lookup": [], "processCPU": []]
        try await HTTPTransport.with(server) { transport in
            for _ in 0..<rounds {
                let (start, startCPU) = (clock.now, Self.cpuSeconds)
                let updater = Updater(transport: transport, directory: arguments[2], trustedRoot: root)
                var repository = try await updater.refresh()
                times["refresh"]?.append((clock.now - start) / .seconds(1))
                times["refreshCPU"]?.append(Self.cpuSeconds - startCPU)
                times["processCPU"]?.append(Self.cpuSeconds)
                guard let path else { continue }
                let refreshed = clock.now
                let target = try await repository.find(path)
                times["lookup"]?.append((clock.now - refreshed) / .seconds(1))
                guard target.file.length > 0 else { throw Failure(message: "\(path) is not what it should be") }
            }
        }
        let lists = times.map { "\"\($0.key)\": \($0.value)" }
        print("{\"peakKiB\": \(Self.peakKiB), \(lists.sorted().joined(separator: ", "))}")
    }

    /// What the whole process has used, from its start.
    private static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The most memory that was resident until now. What getrusage says would count the process that started this one.
    private static var peakKiB: Int {
        let file = open("/proc/self/status", O_RDONLY)
        defer { close(file) }
        let status = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(0, Glibc.read(file, buffer.baseAddress, buffer.count))
        }
        let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }

    private static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        return try [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
            count = Glibc.read(file, buffer.baseAddress, buffer.count)
            guard count > 0 else {
                count = 0
                throw Failure(message: "cannot read \(path)")
            }
        }
    }
}

struct Failure: Error, CustomStringConvertible {
    let message: String
    var description: String { self.message }
}
