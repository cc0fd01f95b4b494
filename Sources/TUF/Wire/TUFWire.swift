// SPDX-License-Identifier: Apache-2.0

import Crypto

/// Members that several kinds of TUF 1.0 metadata share.
enum TUFWire {
    /// The version of the specification that is written.
    static let specification = "1.0.34"

    static func header(_ reader: inout MemberReader, type: String) throws -> (version: Int64, expires: Expiry) {
        let found = try reader.string("_type")
        guard found.utf8.elementsEqual(type.utf8) else {
            throw TUFError(.malformed, "expected type \(type), not \(found.prefix(64))")
        }
        guard let specification = reader.remaining["spec_version"]?.string, self.isSupported(specification) else {
            throw reader.wrong("spec_version", "a version 1.x of the specification")
        }
        let expires = try reader.string("expires")
        // The length of a date, a time and a Z: with neither a fraction nor an offset.
        guard expires.utf8.count == 20, expires.utf8.last == UInt8(ascii: "Z") else {
            throw reader.wrong("expires", "a date and time as 2030-01-31T12:00:00Z, not \(expires.prefix(64))")
        }
        return (try reader.positive("version"), try Expiry(parsing: expires))
    }

    /// 1.Y or 1.Y.Z: what follows the major version may differ.
    private static func isSupported(_ specification: String) -> Bool {
        let parts = specification.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let areNumbers = parts.allSatisfy { part in
            (1...9).contains(part.count) && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        }
        return (2...3).contains(parts.count) && areNumbers && parts[0].elementsEqual("1".utf8)
    }

    /// An object of known members and those that were read and not known.
    static func object(
        _ members: [(key: String, value: JSONValue)],
        additional: ByteOrderedMap<JSONValue>
    ) -> JSONValue {
        var object = additional
        for (name, value) in members { object[name] = value }
        return .object(object)
    }

    static func payload(
        _ type: String,
        _ payload: some Payload,
        _ members: [(key: String, value: JSONValue)],
        additional: ByteOrderedMap<JSONValue>
    ) -> JSONValue {
        let header: [(key: String, value: JSONValue)] = [
            ("_type", .string(type)), ("expires", .string(payload.expires.text)),
            ("spec_version", additional["spec_version"] ?? .string(self.specification)),
            ("version", .integer(payload.version)),
        ]
        return self.object(header + members, additional: additional)
    }

    // MARK: Signatures

    static func signatures(_ values: [JSONValue]) throws -> [Signature] {
        var seen: Set<KeyID> = []
        return try values.map { value in
            var reader = try MemberReader(value, "a signature")
            let id = KeyID(try reader.string("keyid"))
            guard seen.insert(id).inserted else {
                throw TUFError(.invalid, "metadata has two signatures of the key \(id.text.prefix(64))")
            }
            // One that is no signature at all is as good as a wrong one: others may suffice.
            let bytes = Hexadecimal.decode(try reader.string("sig")) ?? []
            return Signature(keyID: id, method: .ofKey, bytes: bytes)
        }
    }

    static func json(_ signature: Signature) -> JSONValue {
        ["keyid": .string(signature.keyID.text), "sig": .string(Hexadecimal.encode(signature.bytes))]
    }

    // MARK: Keys

    static func keys(_ members: ByteOrderedMap<JSONValue>) throws -> ByteOrderedMap<PublicKey> {
        var keys: [(key: String, value: PublicKey)] = []
        for (id, value) in members { keys.append((id, try self.key(value, listedAs: KeyID(id)))) }
        guard let map = ByteOrderedMap(uniqueKeys: keys) else { throw TUFError(.malformed, "a key is listed twice") }
        return map
    }

    /// A key under the id that it is listed under, be it the hash of the key or not. What its value means is not looked at
    /// before it has to verify something: keys of types that are not known may be among those that are.
    static func key(_ value: JSONValue, listedAs id: KeyID) throws -> PublicKey {
        var reader = try MemberReader(value, "a key")
        let type = KeyType(try reader.string("keytype"))
        let scheme = SignatureScheme(try reader.string("scheme"))
        let values = try MemberReader(reader.take("keyval"), "a key's keyval")
        let text = values.remaining["public"]?.string ?? ""
        return PublicKey(type: type, scheme: scheme, bytes: Array(text.utf8), object: value, id: id)
    }

    /// A key of ours under its own id.
    static func key(_ key: VerificationKey) throws -> PublicKey {
        let (type, scheme, text) = try key.spelling
        let value = scheme == .ed25519 || text.hasSuffix("\n") ? text : text + "\n"
        let object: JSONValue = [
            "keytype": .string(type.name), "keyval": ["public": .string(value)], "scheme": .string(scheme.name),
        ]
        return PublicKey(
            type: type,
            scheme: scheme,
            bytes: Array(value.utf8),
            object: object,
            id: KeyID(Hexadecimal.encode(SHA256.hash(data: CanonicalJSON.encode(object))))
        )
    }

    /// A key as it was read. One of Notary's format has no place in this one: it must be spelled in it first, which gives
    /// it another id.
    static func json(_ key: PublicKey) -> JSONValue {
        key.object ?? NotaryWire.json(key)
    }

    // MARK: Roles

    static func definition(_ reader: inout MemberReader) throws -> RoleDefinition {
        guard let ids = reader.remaining["keyids"]?.array else { throw reader.wrong("keyids", "a list") }
        let definition = RoleDefinition(
            keyIDs: try reader.strings("keyids").map { KeyID($0) },
            threshold: try reader.positive("threshold")
        )
        guard Set(definition.keyIDs).count == ids.count else {
            throw TUFError(.invalid, "a role lists one key id twice")
        }
        return definition
    }

    static func members(_ definition: RoleDefinition) -> [(key: String, value: JSONValue)] {
        [
            ("keyids", .array(definition.keyIDs.map { .string($0.text) })),
            ("threshold", .integer(definition.threshold)),
        ]
    }

    // MARK: Files

    static func hashes(_ value: JSONValue?, _ context: String) throws -> Hashes {
        guard let members = value?.object, !members.isEmpty else {
            throw TUFError(.malformed, "\(context): hashes must be an object with one hash or more")
        }
        return Hashes(
            try members.mapValues {
                guard let text = $0.string, !text.isEmpty, let digest = Hexadecimal.decode(text) else {
                    throw TUFError(.malformed, "\(context): a hash must be hexadecimal digits")
                }
                return digest
            }
        )
    }

    static func json(_ hashes: Hashes) -> JSONValue {
        .object(hashes.digests.mapValues { .string(Hexadecimal.encode($0)) })
    }

    private static func length(_ value: JSONValue?, _ context: String) throws -> Int64 {
        guard let length = value?.integer, length >= 0 else {
            throw TUFError(.malformed, "\(context): length must be an integer of 0 or more")
        }
        return length
    }

    static func file(_ value: JSONValue) throws -> FileMetadata {
        var reader = try MemberReader(value, "a meta entry")
        var file = FileMetadata(version: try reader.positive("version"))
        if let length = reader.optional("length") { file.length = try self.length(length, "a meta entry") }
        if let hashes = reader.optional("hashes") { file.hashes = try self.hashes(hashes, "a meta entry") }
        file.additionalMembers = reader.remaining
        return file
    }

    static func json(_ file: FileMetadata) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [("version", .integer(file.version ?? 1))]
        if let length = file.length { members.append(("length", .integer(length))) }
        if let hashes = file.hashes { members.append(("hashes", self.json(hashes))) }
        return self.object(members, additional: file.additionalMembers)
    }

    static func target(_ value: JSONValue) throws -> TargetFile {
        var reader = try MemberReader(value, "a target")
        var target = TargetFile(
            length: try self.length(reader.take("length"), "a target"),
            hashes: try self.hashes(reader.take("hashes"), "a target"),
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
