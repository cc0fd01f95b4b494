// SPDX-License-Identifier: Apache-2.0

extension Root {
    /// Reads the `signed` object of a root.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        var reader = try MemberReader(signed, "root")
        (self.version, self.expires) = try NotaryWire.header(&reader, type: "Root")
        switch reader.optional("consistent_snapshot") {
        case .none: self.consistentSnapshot = false
        case .bool(let value): self.consistentSnapshot = value
        default: throw reader.wrong("consistent_snapshot", "true or false")
        }
        self.keys = try NotaryWire.keys(try reader.members("keys"))
        self.roles = [:]
        for (name, value) in try reader.members("roles") {
            var role = try MemberReader(value, "the role \(name.prefix(64))")
            var definition = try NotaryWire.definition(&role)
            definition.additionalMembers = role.remaining
            self.roles[RoleName(name)] = definition
        }
        self.additionalMembers = reader.remaining
        for role in RoleName.topLevel {
            guard let definition = self.roles[role] else {
                throw TUFError(.invalid, role: .root, "does not define the role \(role)")
            }
            for id in definition.keyIDs where self.keys[id.text] == nil {
                throw TUFError(
                    .invalid,
                    role: .root,
                    "the role \(role) names the key \(id.text.prefix(64)), which is not listed"
                )
            }
        }
    }

    /// The `signed` object of this root.
    public func json(format: WireFormat) -> JSONValue {
        var roles = ByteOrderedMap<JSONValue>()
        for (name, definition) in self.roles {
            roles[name.text] = NotaryWire.object(
                NotaryWire.members(definition),
                additional: definition.additionalMembers
            )
        }
        return NotaryWire.object(
            [
                ("_type", "Root"), ("consistent_snapshot", .bool(self.consistentSnapshot)),
                ("expires", .string(self.expires.text)), ("keys", .object(self.keys.mapValues { NotaryWire.json($0) })),
                ("roles", .object(roles)), ("version", .integer(self.version)),
            ],
            additional: self.additionalMembers
        )
    }
}

extension Targets {
    /// Reads the `signed` object of a targets role.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        var reader = try MemberReader(signed, "targets")
        (self.version, self.expires) = try NotaryWire.header(&reader, type: "Targets")
        self.targets = TargetMap(try reader.members("targets").mapValues(NotaryWire.target))
        self.delegations = Delegations()
        if let value = reader.optional("delegations") {
            var delegations = try MemberReader(value, "delegations")
            self.delegations.keys = try NotaryWire.keys(try delegations.members("keys"))
            self.delegations.roles = try delegations.elements("roles").map(NotaryWire.delegatedRole)
            self.delegations.additionalMembers = delegations.remaining
        }
        self.additionalMembers = reader.remaining
        guard Set(self.delegations.roles.map(\.name)).count == self.delegations.roles.count else {
            throw TUFError(.invalid, role: .targets, "delegates twice to one role")
        }
    }

    /// The `signed` object of this role.
    public func json(format: WireFormat) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [
            ("_type", "Targets"), ("expires", .string(self.expires.text)),
            ("targets", self.targets.json(format: format)), ("version", .integer(self.version)),
        ]
        if self.delegations != Delegations() || self.additionalMembers["delegations"] != .null {
            members.append(("delegations", self.delegationsJSON))
        }
        return NotaryWire.object(members, additional: self.additionalMembers)
    }

    private var delegationsJSON: JSONValue {
        NotaryWire.object(
            [
                ("keys", .object(self.delegations.keys.mapValues { NotaryWire.json($0) })),
                ("roles", .array(self.delegations.roles.map { NotaryWire.json($0) })),
            ],
            additional: self.delegations.additionalMembers
        )
    }
}

extension Snapshot {
    /// Reads the `signed` object of a snapshot.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        var reader = try MemberReader(signed, "snapshot")
        (self.version, self.expires) = try NotaryWire.header(&reader, type: "Snapshot")
        self.meta = try reader.members("meta").mapValues(NotaryWire.file)
        self.additionalMembers = reader.remaining
        for role in [RoleName.root, .targets] where self[role] == nil {
            throw TUFError(.invalid, role: .snapshot, "does not list \(role)")
        }
    }

    /// The `signed` object of this snapshot.
    public func json(format: WireFormat) -> JSONValue {
        NotaryWire.object(
            [
                ("_type", "Snapshot"), ("expires", .string(self.expires.text)),
                ("meta", .object(self.meta.mapValues { NotaryWire.json($0) })), ("version", .integer(self.version)),
            ],
            additional: self.additionalMembers
        )
    }
}

extension Timestamp {
    /// Reads the `signed` object of a timestamp.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        var reader = try MemberReader(signed, "timestamp")
        (self.version, self.expires) = try NotaryWire.header(&reader, type: "Timestamp")
        guard let snapshot = try reader.members("meta")[RoleName.snapshot.text] else {
            throw TUFError(.invalid, role: .timestamp, "does not list snapshot")
        }
        self.snapshot = try NotaryWire.file(snapshot)
        self.additionalMembers = reader.remaining
    }

    /// The `signed` object of this timestamp.
    public func json(format: WireFormat) -> JSONValue {
        NotaryWire.object(
            [
                ("_type", "Timestamp"), ("expires", .string(self.expires.text)),
                ("meta", ["snapshot": NotaryWire.json(self.snapshot)]), ("version", .integer(self.version)),
            ],
            additional: self.additionalMembers
        )
    }
}
