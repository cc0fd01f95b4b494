// SPDX-License-Identifier: Apache-2.0

package import TUF

/// What new metadata of a role changes, in lines for whoever is to sign it.
package enum MetadataChanges {
    /// The most lines of targets that are listed one by one.
    package static let targetLimit = 200

    /// Compares metadata of a kind with what is trusted; nil before the first.
    /// - Throws: `TUFError` when the metadata cannot be read as what it says it is; ``CeremonyError`` with code
    ///   `malformed` when it does not say.
    package static func lines(
        of new: PendingMetadata,
        after trusted: PendingMetadata?
    ) throws -> [String] {
        switch new.type {
        case "root": return self.lines(try new.payload(as: Root.self), after: try trusted?.payload())
        case "targets": return self.lines(try new.payload(as: Targets.self), after: try trusted?.payload())
        case "snapshot": return self.lines(try new.payload(as: Snapshot.self), after: try trusted?.payload())
        case "timestamp": return self.lines(try new.payload(as: Timestamp.self), after: try trusted?.payload())
        default: throw CeremonyError(.malformed, "the metadata does not say what kind it is")
        }
    }

    private static func header(_ new: some Payload, after old: (some Payload)?) -> [String] {
        let version = old.map { "version \($0.version) -> \(new.version)" } ?? "version \(new.version)"
        let expires = old.map { "expires \($0.expires) -> \(new.expires)" } ?? "expires \(new.expires)"
        return [version, expires]
    }

    // MARK: Root

    static func lines(_ new: Root, after old: Root?) -> [String] {
        var lines = self.header(new, after: old)
        if let old, old.consistentSnapshot != new.consistentSnapshot {
            lines.append("consistent snapshots: \(old.consistentSnapshot) -> \(new.consistentSnapshot)")
        }
        for role in RoleName.topLevel {
            guard let after = new.roles[role] else { continue }
            lines += self.lines(role.text, after, old?.roles[role], new.keys, old?.keys ?? [:])
        }
        return lines + self.additional(new.additionalMembers, old?.additionalMembers ?? [:])
    }

    private static func lines(
        _ role: String,
        _ new: RoleDefinition?,
        _ old: RoleDefinition?,
        _ keys: ByteOrderedMap<PublicKey>,
        _ oldKeys: ByteOrderedMap<PublicKey>
    ) -> [String] {
        var lines: [String] = []
        let before = old?.keyIDs ?? []
        let after = new?.keyIDs ?? []
        for id in after where !before.contains(id) {
            lines.append("\(role): + key \(id.text.prefix(64)) (\(self.kind(keys[id.text])))")
        }
        for id in before where !after.contains(id) {
            lines.append("\(role): - key \(id.text.prefix(64)) (\(self.kind(oldKeys[id.text])))")
        }
        for id in after where before.contains(id) && keys[id.text] != oldKeys[id.text] {
            lines.append("\(role): ! key \(id.text.prefix(64)) is another key under the same id")
        }
        if let threshold = new?.threshold, threshold != old?.threshold {
            let from = old.map { "\($0.threshold) -> " } ?? ""
            lines.append("\(role): threshold \(from)\(threshold) of \(after.count)")
        }
        return lines
    }

    private static func kind(_ key: PublicKey?) -> String {
        guard let key else { return "not listed" }
        guard let certificate = key.certificate else { return key.scheme?.name ?? key.type.name }
        let name = certificate.commonName.map { "of \($0.prefix(255))" } ?? "without a name"
        // Certificates come and go; who holds the private key knows it by the id of the key itself.
        let bare = (try? key.canonicalID).map { ", private key \($0)" } ?? ""
        return "\(key.type.name) \(name), expires \(Expiry(certificate.notAfter))\(bare)"
    }

    private static func additional(
        _ new: ByteOrderedMap<JSONValue>,
        _ old: ByteOrderedMap<JSONValue>
    ) -> [String] {
        // The version of the specification is in all metadata: to see it come is no news.
        Set(new.keys + old.keys).sorted()
            .filter { new[$0] != old[$0] && !($0 == "spec_version" && old[$0] == nil) }
            .map { "other member \($0.prefix(64)) changes" }
    }

    // MARK: Targets

    static func lines(_ new: Targets, after old: Targets?) -> [String] {
        var lines = self.header(new, after: old)
        lines += self.lines(new.targets, after: old?.targets ?? [:])
        let before = old?.delegations ?? Delegations()
        for role in new.delegations.roles {
            lines += self.lines(role, before.roles.first { $0.name == role.name }, new.delegations.keys, before.keys)
        }
        for role in before.roles where !new.delegations.roles.contains(where: { $0.name == role.name }) {
            lines.append("- delegation \(role.name)")
        }
        let order = before.roles.map(\.name).filter { name in new.delegations.roles.contains { $0.name == name } }
        let kept = Set(order)
        if new.delegations.roles.map(\.name).filter({ kept.contains($0) }) != order {
            lines.append("the order of delegations changes")
        }
        if new.delegations.succinctRoles != before.succinctRoles {
            let text = new.delegations.succinctRoles.map { "\($0.count) bins \($0.namePrefix)-…" } ?? "no bins"
            lines.append("succinct roles: \(text)")
            lines += self.lines(
                "bins",
                new.delegations.succinctRoles?.definition,
                before.succinctRoles?.definition,
                new.delegations.keys,
                before.keys
            )
        }
        return lines + self.additional(new.additionalMembers, old?.additionalMembers ?? [:])
    }

    private static func lines(
        _ new: DelegatedRole,
        _ old: DelegatedRole?,
        _ keys: ByteOrderedMap<PublicKey>,
        _ oldKeys: ByteOrderedMap<PublicKey>
    ) -> [String] {
        var lines = old == nil ? ["+ delegation \(new.name)"] : []
        lines += self.lines("delegation \(new.name)", new.definition, old?.definition, keys, oldKeys)
        let what = new.matching == .hashPrefixes ? "hash prefix" : "path"
        let before = Set(old?.paths ?? [])
        let after = Set(new.paths)
        lines += new.paths.filter { !before.contains($0) }.prefix(64).map { "delegation \(new.name): + \(what) \($0)" }
        lines += (old?.paths ?? []).filter { !after.contains($0) }.prefix(64)
            .map { "delegation \(new.name): - \(what) \($0)" }
        if let old, old.matching != new.matching { lines.append("delegation \(new.name): now by \(what)") }
        if new.isTerminating != (old?.isTerminating ?? false) {
            lines.append("delegation \(new.name): \(new.isTerminating ? "terminating" : "no longer terminating")")
        }
        return lines
    }

    private static func lines(_ new: TargetMap, after old: TargetMap) -> [String] {
        var lines: [String] = []
        var count = 0
        func add(_ line: String) {
            count += 1
            if count <= self.targetLimit { lines.append(line) }
        }
        for (path, file) in new {
            guard let before = old[path] else {
                add("+ target \(path) (\(file.length) bytes, \(self.digest(file)))")
                continue
            }
            if before != file {
                add("~ target \(path) (\(file.length) bytes, \(self.digest(before)) -> \(self.digest(file)))")
            }
        }
        if old.count > 0 {
            for (path, _) in old where new[path] == nil { add("- target \(path)") }
        }
        if count > self.targetLimit { lines.append("… and \(count - self.targetLimit) more targets change") }
        return lines
    }

    private static func digest(_ file: TargetFile) -> String { self.digest(file.hashes) }

    private static func digest(_ hashes: Hashes?) -> String {
        hashes?.sha256.map { "sha256 \(Hexadecimal.encode($0))" } ?? "no sha256"
    }

    // MARK: Snapshot and timestamp

    static func lines(_ new: Snapshot, after old: Snapshot?) -> [String] {
        var lines = self.header(new, after: old)
        for (name, file) in new.meta where old?.meta[name] != file {
            lines.append("\(name): \(self.listed(file, after: old?.meta[name]))")
        }
        for (name, _) in old?.meta ?? [:] where new.meta[name] == nil { lines.append("- \(name)") }
        return lines
    }

    static func lines(_ new: Timestamp, after old: Timestamp?) -> [String] {
        self.header(new, after: old) + ["snapshot: \(self.listed(new.snapshot, after: old?.snapshot))"]
    }

    /// TUF's format lists files by version, Notary's by hash.
    private static func listed(_ new: FileMetadata, after old: FileMetadata?) -> String {
        guard let version = new.version else {
            let before = old.map { "\(self.digest($0.hashes)) -> " } ?? ""
            return before + self.digest(new.hashes)
        }
        return "version \(old?.version.map { "\($0) -> " } ?? "")\(version)"
    }
}
