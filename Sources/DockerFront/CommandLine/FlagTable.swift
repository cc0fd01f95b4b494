// SPDX-License-Identifier: Apache-2.0

/// Which flags one of docker's commands has, and which of them take a value.
package struct FlagTable: Sendable, Hashable {
    /// Long names of the flags that are followed by a value.
    package private(set) var values: Set<String>
    /// Long names of the flags that stand alone, or have their value after `=`.
    package private(set) var switches: Set<String>
    /// Long names by their one-letter forms.
    package private(set) var shorthands: [Character: String]

    /// - Parameters:
    ///   - values: long names, separated by blanks; a one-letter form follows its name after a comma: `env,e`.
    ///   - switches: likewise.
    init(values: String, switches: String) {
        self.values = []
        self.switches = []
        self.shorthands = [:]
        for entry in values.split(separator: " ") { self.values.insert(self.note(entry)) }
        for entry in switches.split(separator: " ") { self.switches.insert(self.note(entry)) }
    }

    /// Reads the options that a command's `--help` lists. A word after the name is the type of a value.
    /// - Parameter help: what the command printed.
    package init(help: String) {
        self.init(values: "", switches: "")
        for line in help.split(separator: "\n") {
            var rest = line.drop { $0 == " " }
            guard rest.count < line.count, rest.hasPrefix("-") else { continue }
            var shorthand: Character?
            if !rest.hasPrefix("--") {
                guard let letter = rest.dropFirst().first, rest.dropFirst(2).hasPrefix(", --") else { continue }
                shorthand = letter
                rest = rest.dropFirst(4)
            }
            let name = String(rest.dropFirst(2).prefix { $0 != " " && $0 != "[" })
            guard !name.isEmpty else { continue }
            // One blank leads to the type, more to the description; a type such as `string[="x"]` is of a value behind `=` only.
            let after = rest.dropFirst(2 + name.count)
            let type = after.dropFirst().prefix { $0 != " " }
            if after.hasPrefix(" "), !type.isEmpty, !type.contains("[") {
                self.values.insert(name)
            } else {
                self.switches.insert(name)
            }
            if let shorthand { self.shorthands[shorthand] = name }
        }
    }

    /// True for a flag with a value, false for one without, nil for one that is not known.
    package func takesValue(_ name: String) -> Bool? {
        if self.values.contains(name) { return true }
        return self.switches.contains(name) ? false : nil
    }

    /// The table with what another knows besides; where they differ, this one is right.
    func adding(_ other: FlagTable) -> FlagTable {
        var result = self
        for name in other.values where self.takesValue(name) == nil { result.values.insert(name) }
        for name in other.switches where self.takesValue(name) == nil { result.switches.insert(name) }
        result.shorthands.merge(other.shorthands) { mine, _ in mine }
        return result
    }

    private mutating func note(_ entry: Substring) -> String {
        let parts = entry.split(separator: ",")
        let name = String(parts.first ?? "")
        if parts.count > 1, let letter = parts[1].first { self.shorthands[letter] = name }
        return name
    }
}

extension FlagTable {
    /// What may stand before docker's command.
    static let global = FlagTable(
        values: "config context,c host,H log-level,l tlscacert tlscert tlskey",
        switches: "debug,D tls tlsverify version,v help,h"
    )

    /// `docker run` and `docker create`, of 20.10 to 29.
    static let run = FlagTable(
        values: """
            add-host annotation attach,a blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns \
            cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares,c cpus cpuset-cpus \
            cpuset-mems detach-keys device device-cgroup-rule device-read-bps device-read-iops device-write-bps \
            device-write-iops dns dns-opt dns-option dns-search domainname entrypoint env,e env-file expose gpus group-add \
            health-cmd health-interval health-retries health-start-interval health-start-period health-timeout hostname,h \
            io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label,l label-file link link-local-ip log-driver \
            log-opt mac-address memory,m memory-reservation memory-swap memory-swappiness mount name net net-alias network \
            network-alias oom-score-adj pid pids-limit platform publish,p pull restart runtime security-opt shm-size \
            stop-signal stop-timeout storage-opt sysctl tmpfs ulimit user,u userns uts volume,v volume-driver volumes-from \
            workdir,w
            """,
        switches: """
            detach,d disable-content-trust help init interactive,i no-healthcheck oom-kill-disable privileged publish-all,P \
            quiet,q read-only rm sig-proxy tty,t use-api-socket
            """
    )

    /// `docker pull`.
    static let pull = FlagTable(values: "platform", switches: "all-tags,a quiet,q disable-content-trust help,h")

    /// `docker push`.
    static let push = FlagTable(values: "platform", switches: "all-tags,a quiet,q disable-content-trust help,h")

    /// `docker build`, by the classic builder and by buildx.
    static let build = FlagTable(
        values: """
            add-host allow annotation attest build-arg build-context builder cache-from cache-to call cgroup-parent \
            cpu-period cpu-quota cpu-shares,c cpuset-cpus cpuset-mems file,f iidfile isolation label memory,m memory-swap \
            metadata-file network no-cache-filter output,o platform policy print progress provenance resource sbom secret \
            security-opt shm-size ssh tag,t target ulimit
            """,
        switches: """
            check compress debug,D disable-content-trust force-rm help,h load no-cache pull push quiet,q rm squash stream
            """
    )

    /// What may stand between `buildx` and its command.
    static let buildx = FlagTable(values: "builder", switches: "debug,D help,h")

    /// What may stand between one of docker's groups, such as `image`, and its command.
    static let group = FlagTable(values: "", switches: "help,h")

    /// Where nothing but the command's own help tells.
    static let unknown = FlagTable(values: "", switches: "disable-content-trust help,h")
}
