// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What Prometheus' own client libraries tell of a process, under their names; read when it is asked for.
package enum ProcessMetrics {
    /// Has them shown.
    /// - Parameters:
    ///   - metrics: the page that they are shown on.
    ///   - root: where `/proc` is.
    package static func register(on metrics: Metrics, root: String = "/proc") {
        let memory = metrics.gauge("process_resident_memory_bytes", help: "Memory in use.")
        let files = metrics.gauge("process_open_fds", help: "Files and sockets open.")
        let mostFiles = metrics.gauge("process_max_fds", help: "Files and sockets that may be open.")
        let started = metrics.gauge("process_start_time_seconds", help: "When it began, in seconds since 1970.")
        if let start = Self.startTime(root) { started.set(start) }
        metrics.beforeRendering {
            if let bytes = Self.residentMemory(root) { memory.set(bytes) }
            if let list = try? FileManager.default.contentsOfDirectory(atPath: root + "/self/fd") {
                files.set(Int64(list.count))
            }
            var limit = rlimit()
            #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            #else
            let resource = RLIMIT_NOFILE
            #endif
            if getrlimit(resource, &limit) == 0 { mostFiles.set(Int64(clamping: limit.rlim_cur)) }
        }
    }

    private static func fields(_ path: String) -> [Substring]? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: " ")
    }

    private static func residentMemory(_ root: String) -> Int64? {
        guard let fields = Self.fields(root + "/self/statm"), fields.count > 1, let pages = Int64(fields[1]) else {
            return nil
        }
        return pages.multipliedReportingOverflow(by: Int64(sysconf(CInt(_SC_PAGESIZE)))).partialValue
    }

    /// The twenty-second field counts from the machine's start.
    private static func startTime(_ root: String) -> Int64? {
        guard let text = try? String(contentsOfFile: root + "/self/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")"),
            let boot = try? String(contentsOfFile: root + "/stat", encoding: .utf8)
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        let line = boot.split(separator: "\n").first { $0.hasPrefix("btime ") }
        let ticksPerSecond = Int64(sysconf(CInt(_SC_CLK_TCK)))
        guard fields.count > 19, let ticks = Int64(fields[19]), ticksPerSecond > 0,
            let booted = line.flatMap({ Int64($0.dropFirst("btime ".count)) })
        else { return nil }
        return booted + ticks / ticksPerSecond
    }
}
