// SPDX-License-Identifier: Apache-2.0

extension TUFWire {
    static func delegations(_ value: JSONValue?) throws -> Delegations {
        var reader = try MemberReader(value, "delegations")
        guard reader.remaining["keys"]?.object != nil else { throw reader.wrong("keys", "an object") }
        var delegations = Delegations(keys: try self.keys(try reader.members("keys")))
        switch (reader.take("roles"), reader.take("succinct_roles")) {
        case (.some(let roles), .none):
            guard let elements = roles.array else { throw reader.wrong("roles", "a list") }
            delegations.roles = try elements.map(self.delegatedRole)
        case (.none, .some(let roles)): delegations.succinctRoles = try self.succinctRoles(roles)
        default: throw TUFError(.invalid, "delegations must have either roles or succinct_roles")
        }
        delegations.additionalMembers = reader.remaining
        guard Set(delegations.roles.map(\.name)).count == delegations.roles.count else {
            throw TUFError(.invalid, "delegates twice to one role")
        }
        return delegations
    }

    static func json(_ delegations: Delegations) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [
            ("keys", .object(delegations.keys.mapValues { self.json($0) }))
        ]
        if let roles = delegations.succinctRoles {
            members.append(("succinct_roles", self.json(roles)))
        } else {
            members.append(("roles", .array(delegations.roles.map { self.json($0) })))
        }
        return self.object(members, additional: delegations.additionalMembers)
    }

    private static func delegatedRole(_ value: JSONValue) throws -> DelegatedRole {
        var reader = try MemberReader(value, "a delegation")
        let name = RoleName(try reader.string("name"))
        guard name.isDelegation, !name.text.isEmpty else {
            throw TUFError(.invalid, "\(name.text.prefix(64)) is not the name of a delegated role")
        }
        var definition = try self.definition(&reader)
        guard case .bool(let isTerminating)? = reader.take("terminating") else {
            throw reader.wrong("terminating", "true or false")
        }
        let matching: PathMatching
        let member: String
        switch (reader.remaining["paths"], reader.remaining["path_hash_prefixes"]) {
        case (.some, .none): (matching, member) = (.patterns, "paths")
        case (.none, .some): (matching, member) = (.hashPrefixes, "path_hash_prefixes")
        default: throw TUFError(.invalid, "a delegation must have either paths or path_hash_prefixes")
        }
        guard reader.remaining[member]?.array != nil else { throw reader.wrong(member, "a list of strings") }
        let paths = try reader.strings(member)
        definition.additionalMembers = reader.remaining
        return DelegatedRole(
            name: name,
            definition: definition,
            paths: paths,
            matching: matching,
            isTerminating: isTerminating
        )
    }

    private static func json(_ role: DelegatedRole) -> JSONValue {
        let members: [(key: String, value: JSONValue)] = [
            ("name", .string(role.name.text)), ("terminating", .bool(role.isTerminating)),
            (
                role.matching == .hashPrefixes ? "path_hash_prefixes" : "paths",
                .array(role.paths.map { .string($0) })
            ),
        ]
        return self.object(
            members + self.members(role.definition),
            additional: role.definition.additionalMembers
        )
    }

    private static func succinctRoles(_ value: JSONValue) throws -> SuccinctRoles {
        var reader = try MemberReader(value, "succinct_roles")
        var definition = try self.definition(&reader)
        let bits = try reader.integer("bit_length")
        let prefix = try reader.string("name_prefix")
        definition.additionalMembers = reader.remaining
        guard let roles = SuccinctRoles(definition: definition, bitLength: Int(clamping: bits), namePrefix: prefix)
        else {
            throw TUFError(.invalid, "succinct_roles: bit_length must be from 1 to 32, and name_prefix not empty")
        }
        return roles
    }

    private static func json(_ roles: SuccinctRoles) -> JSONValue {
        let members: [(key: String, value: JSONValue)] = [
            ("bit_length", .integer(Int64(roles.bitLength))), ("name_prefix", .string(roles.namePrefix)),
        ]
        return self.object(
            members + self.members(roles.definition),
            additional: roles.definition.additionalMembers
        )
    }
}
