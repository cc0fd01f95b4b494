// SPDX-License-Identifier: Apache-2.0

extension Root {
    /// Reads the `signed` object of a root.
    init(tuf signed: JSONValue) throws {
        var reader = try MemberReader(signed, "root")
        (self.version, self.expires) = try TUFWire.header(&reader, type: "root")
        switch reader.take("consistent_snapshot") {
        case .none: self.consistentSnapshot = false
        case .bool(let value): self.consistentSnapshot = value
        default: throw reader.wrong("consistent_snapshot", "true or false")
        }
        guard reader.remaining["keys"]?.object != nil else { throw reader.wrong("keys", "an object") }
        self.keys = try TUFWire.keys(try reader.members("keys"))
        self.roles = [:]
        for (name, value) in try reader.members("roles") {
            guard RoleName.topLevel.contains(RoleName(name)) || RoleName(name) == .mirrors else {
                throw TUFError(.invalid, role: .root, "defines \(name.prefix(64)), which is not a top-level role")
            }
            var role = try MemberReader(value, "the role \(name)")
            var definition = try TUFWire.definition(&role)
            definition.additionalMembers = role.remaining
            self.roles[RoleName(name)] = definition
        }
        self.additionalMembers = reader.remaining
        for role in RoleName.topLevel where self.roles[role] == nil {
            throw TUFError(.invalid, role: .root, "does not define the role \(role)")
        }
    }

    /// The `signed` object of this root.
    var tufJSON: JSONValue {
        var roles = ByteOrderedMap<JSONValue>()
        for (name, definition) in self.roles {
            roles[name.text] = TUFWire.object(
                TUFWire.members(definition),
                additional: definition.additionalMembers
            )
        }
        return TUFWire.payload(
            "root",
            self,
            [
                ("consistent_snapshot", .bool(self.consistentSnapshot)),
                ("keys", .object(self.keys.mapValues { TUFWire.json($0) })), ("roles", .object(roles)),
            ],
            additional: self.additionalMembers
        )
    }
}

extension Targets {
    /// Reads the `signed` object of a targets role.
    init(tuf signed: JSONValue) throws {
        var reader = try MemberReader(signed, "targets")
        (self.version, self.expires) = try TUFWire.header(&reader, type: "targets")
        guard reader.remaining["targets"]?.object != nil else { throw reader.wrong("targets", "an object") }
        self.targets = TargetMap(try reader.members("targets").mapValues(TUFWire.target))
        self.delegations = try reader.take("delegations").map { try TUFWire.delegations($0) } ?? Delegations()
        self.additionalMembers = reader.remaining
    }

    /// The `signed` object of this role.
    var tufJSON: JSONValue {
        var members: [(key: String, value: JSONValue)] = [
            ("targets", self.targets.json(format: .tuf))
        ]
        if self.delegations != Delegations() { members.append(("delegations", TUFWire.json(self.delegations))) }
        return TUFWire.payload("targets", self, members, additional: self.additionalMembers)
    }
}

extension Snapshot {
    private static let suffix = ".json"

    /// Reads the `signed` object of a snapshot.
    init(tuf signed: JSONValue) throws {
        var reader = try MemberReader(signed, "snapshot")
        (self.version, self.expires) = try TUFWire.header(&reader, type: "snapshot")
        guard reader.remaining["meta"]?.object != nil else { throw reader.wrong("meta", "an object") }
        var meta: [(key: String, value: FileMetadata)] = []
        for (name, value) in try reader.members("meta") {
            guard let role = Self.role(of: name) else {
                throw TUFError(.malformed, role: .snapshot, "\(name.prefix(64)) is not the name of a metadata file")
            }
            meta.append((role, try TUFWire.file(value)))
        }
        // The order of names is not that of the files: `a.json` comes before `a-b.json` without its suffix alone.
        self.meta = ByteOrderedMap(uniqueKeys: meta) ?? [:]
        self.additionalMembers = reader.remaining
        guard self[.targets] != nil else { throw TUFError(.invalid, role: .snapshot, "does not list targets") }
    }

    static func role(of name: String) -> String? {
        guard name.utf8.count > self.suffix.utf8.count,
            name.utf8.suffix(self.suffix.utf8.count).elementsEqual(self.suffix.utf8)
        else { return nil }
        return String(name.utf8.dropLast(self.suffix.utf8.count))
    }

    /// The `signed` object of this snapshot.
    var tufJSON: JSONValue {
        var meta = ByteOrderedMap<JSONValue>()
        for (name, file) in self.meta { meta[name + Self.suffix] = TUFWire.json(file) }
        return TUFWire.payload("snapshot", self, [("meta", .object(meta))], additional: self.additionalMembers)
    }
}

extension Timestamp {
    private static let snapshotName = "snapshot.json"

    /// Reads the `signed` object of a timestamp.
    init(tuf signed: JSONValue) throws {
        var reader = try MemberReader(signed, "timestamp")
        (self.version, self.expires) = try TUFWire.header(&reader, type: "timestamp")
        let meta = try reader.members("meta")
        guard meta.count == 1, let snapshot = meta[Self.snapshotName] else {
            throw TUFError(.invalid, role: .timestamp, "must list \(Self.snapshotName) and nothing else")
        }
        self.snapshot = try TUFWire.file(snapshot)
        self.additionalMembers = reader.remaining
    }

    /// The `signed` object of this timestamp.
    var tufJSON: JSONValue {
        TUFWire.payload(
            "timestamp",
            self,
            [("meta", [Self.snapshotName: TUFWire.json(self.snapshot)])],
            additional: self.additionalMembers
        )
    }
}
