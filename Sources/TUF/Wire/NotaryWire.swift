// SPDX-License-Identifier: Apache-2.0

/// Members that several kinds of Notary metadata share.
enum NotaryWire {
    static func header(_ reader: inout MemberReader, type: String) throws -> (version: Int64, expires: Expiry) {
        let found = try reader.string("_type")
        guard found.utf8.elementsEqual(type.utf8) else {
            throw TUFError(.malformed, "expected type \(type), not \(found.prefix(64))")
        }
        return (try reader.positive("version"), try Expiry(parsing: try reader.string("expires")))
    }

    static func object(
        _ members: [(key: String, value: JSONValue)],
        additional: ByteOrderedMap<JSONValue>
    ) -> JSONValue {
        var object = additional
        for (name, value) in members where !(self.isEmpty(value) && additional[name] == .null) { object[name] = value }
        return .object(object)
    }

    /// What Go writes as `null` as long as nothing was ever put into it, and after the last element was removed.
    private static func isEmpty(_ value: JSONValue) -> Bool {
        value.array?.isEmpty ?? value.object?.isEmpty ?? false
    }

    // MARK: Signatures

    static func signature(_ value: JSONValue) throws -> Signature {
        var reader = try MemberReader(value, "a signature")
        guard let bytes = Base64.decode(try reader.string("sig")) else { throw reader.wrong("sig", "base64") }
        return Signature(
            keyID: KeyID(try reader.string("keyid")),
            method: SignatureMethod(try reader.string("method")),
            bytes: bytes
        )
    }

    static func json(_ signature: Signature) -> JSONValue {
        [
            "keyid": .string(signature.keyID.text), "method": .string(signature.method.name),
            "sig": .string(Base64.encode(signature.bytes)),
        ]
    }

    // MARK: Keys

    static func keys(_ members: ByteOrderedMap<JSONValue>) throws -> ByteOrderedMap<PublicKey> {
        try members.mapValues(self.key)
    }

    static func key(_ value: JSONValue) throws -> PublicKey {
        var reader = try MemberReader(value, "a key")
        let type = try reader.string("keytype")
        var values = try MemberReader(reader.take("keyval"), "a key's keyval")
        guard let bytes = Base64.decode(try values.string("public")) else {
            throw TUFError(.malformed, "a key's public part must be base64")
        }
        return PublicKey(type: KeyType(type), bytes: bytes)
    }

    static func json(_ key: PublicKey) -> JSONValue {
        [
            "keytype": .string(key.type.name),
            "keyval": ["private": .null, "public": .string(Base64.encode(key.bytes))],
        ]
    }

    // MARK: Roles

    static func definition(_ reader: inout MemberReader) throws -> RoleDefinition {
        RoleDefinition(
            keyIDs: try reader.strings("keyids").map { KeyID($0) },
            threshold: try reader.positive("threshold")
        )
    }

    static func members(_ definition: RoleDefinition) -> [(key: String, value: JSONValue)] {
        [
            ("keyids", .array(definition.keyIDs.map { .string($0.text) })),
            ("threshold", .integer(definition.threshold)),
        ]
    }

    static func delegatedRole(_ value: JSONValue) throws -> DelegatedRole {
        var reader = try MemberReader(value, "a delegation")
        let name = try RoleName(notaryDelegation: try reader.string("name"))
        var definition = try self.definition(&reader)
        let paths = try reader.strings("paths")
        definition.additionalMembers = reader.remaining
        return DelegatedRole(name: name, definition: definition, paths: paths)
    }

    static func json(_ role: DelegatedRole) -> JSONValue {
        var members = self.members(role.definition)
        members.append(("name", .string(role.name.text)))
        if !role.paths.isEmpty { members.append(("paths", .array(role.paths.map { .string($0) }))) }
        return self.object(members, additional: role.definition.additionalMembers)
    }

    // MARK: Files

    static func hashes(_ members: ByteOrderedMap<JSONValue>) throws -> Hashes {
        Hashes(
            try members.mapValues {
                guard let text = $0.string, let digest = Base64.decode(text) else {
                    throw TUFError(.malformed, "a hash must be base64")
                }
                return digest
            }
        )
    }

    static func json(_ hashes: Hashes) -> JSONValue {
        .object(hashes.digests.mapValues { .string(Base64.encode($0)) })
    }

    static func length(_ reader: inout MemberReader) throws -> Int64 {
        let length = try reader.integer("length")
        guard length >= 0 else { throw reader.wrong("length", "0 or more") }
        return length
    }

    static func file(_ value: JSONValue) throws -> FileMetadata {
        var reader = try MemberReader(value, "a meta entry")
        var file = FileMetadata(
            length: try self.length(&reader),
            hashes: try self.hashes(try reader.members("hashes"))
        )
        guard file.hashes?.sha256?.count == 32, file.hashes?.sha512.map({ $0.count == 64 }) ?? true else {
            throw TUFError(.invalid, "a meta entry lacks its sha256, or lists a hash of another length than it has")
        }
        file.additionalMembers = reader.remaining
        return file
    }

    static func json(_ file: FileMetadata) -> JSONValue {
        self.object(
            [("hashes", self.json(file.hashes ?? Hashes([:]))), ("length", .integer(file.length ?? 0))],
            additional: file.additionalMembers
        )
    }

    static func target(_ value: JSONValue) throws -> TargetFile {
        var reader = try MemberReader(value, "a target")
        var target = TargetFile(
            length: try self.length(&reader),
            hashes: try self.hashes(try reader.members("hashes")),
            custom: reader.optional("custom")
        )
        target.additionalMembers = reader.remaining
        return target
    }

    static func json(_ target: TargetFile) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [
            ("hashes", self.json(target.hashes)), ("length", .integer(target.length)),
        ]
        if let custom = target.custom { members.append(("custom", custom)) }
        return self.object(members, additional: target.additionalMembers)
    }
}
