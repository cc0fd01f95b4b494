// SPDX-License-Identifier: Apache-2.0

package import TUF

/// One change that is to be made to a collection when it is published, in the form that `notary` stages it.
package struct Change: Sendable, Hashable {
    /// What happens to its subject.
    package enum Action: String, Sendable {
        case create
        case update
        case delete
    }

    /// What kind of thing is changed.
    package enum Subject: String, Sendable {
        case target
        case delegation
        case witness
        case role
    }

    /// What happens.
    package let action: Action
    /// The role that changes, or is itself the change; `targets/*` stands for all delegations.
    package let role: RoleName
    /// The kind of thing that changes.
    package let subject: Subject
    /// The target's path; empty for the other kinds.
    package let path: String
    /// Details as JSON, by kind; nil where there are none.
    package let data: [UInt8]?

    /// Makes a change of its parts.
    package init(action: Action, role: RoleName, subject: Subject, path: String = "", data: [UInt8]? = nil) {
        self.action = action
        self.role = role
        self.subject = subject
        self.path = path
        self.data = data
    }

    /// The role that stands for all delegations.
    package static let allDelegations = RoleName("targets/*")
}

// MARK: - Making changes

extension Change {
    /// Adds a target, or replaces the one of that path.
    package static func add(_ path: String, _ file: TargetFile, to role: RoleName = .targets) -> Change {
        var members: [(String, JSONValue)] = [
            ("length", .integer(file.length)),
            ("hashes", .object(file.hashes.digests.mapValues { .string(Base64.encode($0)) })),
        ]
        if let custom = file.custom { members.append(("custom", custom)) }
        return Change(action: .create, role: role, subject: .target, path: path, data: self.struct(members))
    }

    /// Removes a target.
    package static func remove(_ path: String, from role: RoleName = .targets) -> Change {
        Change(action: .delete, role: role, subject: .target, path: path)
    }

    /// Adds keys to a delegation, which is made if there is none.
    package static func addKeys(_ keys: [PublicKey], to role: RoleName, threshold: Int64 = 1) -> Change {
        self.delegation(.create, role, DelegationChange(threshold: threshold, addKeys: keys))
    }

    /// Adds paths to a delegation, which is made if there is none.
    package static func addPaths(_ paths: [String], to role: RoleName) -> Change {
        self.delegation(.create, role, DelegationChange(addPaths: paths))
    }

    /// Says how many keys of a delegation that is there must sign.
    package static func setThreshold(_ threshold: Int64, of role: RoleName) -> Change {
        self.delegation(.update, role, DelegationChange(threshold: threshold))
    }

    /// Takes keys, by canonical id, out of a delegation.
    package static func removeKeys(_ ids: [KeyID], from role: RoleName) -> Change {
        self.delegation(.update, role, DelegationChange(removeKeys: ids))
    }

    /// Takes paths out of a delegation; all of them for nil.
    package static func removePaths(_ paths: [String]?, from role: RoleName) -> Change {
        let change =
            paths.map { DelegationChange(removePaths: $0) } ?? DelegationChange(clearPaths: true)
        return self.delegation(.update, role, change)
    }

    /// Removes a delegation.
    package static func removeDelegation(_ role: RoleName) -> Change {
        Change(action: .delete, role: role, subject: .delegation)
    }

    /// Takes keys, by canonical id, out of every delegation.
    package static func purgeKeys(_ ids: [KeyID]) -> Change {
        self.delegation(.update, self.allDelegations, DelegationChange(removeKeys: ids))
    }

    /// Signs a role again as it is.
    package static func witness(_ role: RoleName) -> Change {
        Change(action: .update, role: role, subject: .witness)
    }

    private static func delegation(_ action: Action, _ role: RoleName, _ change: DelegationChange) -> Change {
        Change(action: action, role: role, subject: .delegation, data: self.struct(change.members))
    }

    /// An object whose members stand in the order given, as Go writes a struct.
    static func `struct`(_ members: [(String, JSONValue)]) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "{")]
        for (index, (name, value)) in members.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += CanonicalJSON.encodeForWire(.string(name))
            bytes.append(UInt8(ascii: ":"))
            bytes += CanonicalJSON.encodeForWire(value)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}

// MARK: - Details

/// What changes in a delegation.
package struct DelegationChange: Sendable, Hashable {
    /// The new name of the role; Notary reserves it and never writes it.
    package var newName: String?
    /// How many keys must sign; nil leaves it.
    package var threshold: Int64?
    /// Keys that may sign from now on.
    package var addKeys: [PublicKey]
    /// Canonical ids of keys that no longer may.
    package var removeKeys: [KeyID]
    /// Paths it may hold from now on.
    package var addPaths: [String]
    /// Paths it may no longer hold.
    package var removePaths: [String]
    /// Whether all paths go before any is added.
    package var clearPaths: Bool

    /// Makes a change.
    package init(
        threshold: Int64? = nil,
        addKeys: [PublicKey] = [],
        removeKeys: [KeyID] = [],
        addPaths: [String] = [],
        removePaths: [String] = [],
        clearPaths: Bool = false
    ) {
        self.threshold = threshold
        self.addKeys = addKeys
        self.removeKeys = removeKeys
        self.addPaths = addPaths
        self.removePaths = removePaths
        self.clearPaths = clearPaths
    }

    var members: [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        if let newName { members.append(("new_name", .string(newName))) }
        if let threshold, threshold != 0 { members.append(("threshold", .integer(threshold))) }
        if !self.addKeys.isEmpty { members.append(("add_keys", .array(self.addKeys.map(Self.json)))) }
        if !self.removeKeys.isEmpty {
            members.append(("remove_keys", .array(self.removeKeys.map { .string($0.text) })))
        }
        if !self.addPaths.isEmpty { members.append(("add_paths", .array(self.addPaths.map { .string($0) }))) }
        if !self.removePaths.isEmpty { members.append(("remove_paths", .array(self.removePaths.map { .string($0) }))) }
        if self.clearPaths { members.append(("clear_paths", true)) }
        return members
    }

    init(_ json: JSONValue) throws {
        func elements(_ name: String) throws -> [JSONValue] {
            guard let value = json[name], value != .null else { return [] }
            guard let elements = value.array else { throw Self.malformed("\(name) is not a list") }
            return elements
        }
        func strings(_ name: String) throws -> [String] {
            try elements(name).map {
                guard let text = $0.string else { throw Self.malformed("\(name) is not a list of text") }
                return text
            }
        }
        guard json.object != nil else { throw Self.malformed("it is not an object") }
        self.newName = json["new_name"]?.string
        self.threshold = json["threshold"]?.integer
        self.addKeys = try elements("add_keys").map(Self.key)
        self.removeKeys = try strings("remove_keys").map { KeyID($0) }
        self.addPaths = try strings("add_paths")
        self.removePaths = try strings("remove_paths")
        self.clearPaths = json["clear_paths"] == true
    }

    private static func json(_ key: PublicKey) -> JSONValue {
        [
            "keytype": .string(key.type.name),
            "keyval": ["private": .null, "public": .string(Base64.encode(key.bytes))],
        ]
    }

    private static func key(_ json: JSONValue) throws -> PublicKey {
        guard let type = json["keytype"]?.string, let text = json["keyval"]?["public"]?.string,
            let bytes = Base64.decode(text)
        else { throw Self.malformed("add_keys has something that is not a key") }
        return PublicKey(type: KeyType(type), bytes: bytes)
    }

    private static func malformed(_ reason: String) -> TrustClientError {
        TrustClientError(.invalid, "the details of a staged delegation change cannot be read: \(reason)")
    }
}

extension Change {
    /// The target that is added.
    /// - Throws: ``TrustClientError`` with code `invalid` when the details are not those of a target.
    package func target() throws -> TargetFile {
        guard let json = try self.json(), let length = json["length"]?.integer, length >= 0,
            let members = json["hashes"]?.object
        else { throw TrustClientError(.invalid, "the details of the staged target \(self.path) cannot be read") }
        let digests = try members.mapValues { value in
            guard let digest = value.string.flatMap(Base64.decode) else {
                throw TrustClientError(.invalid, "a hash of the staged target \(self.path) is not base64")
            }
            return digest
        }
        let custom = json["custom"]
        return TargetFile(length: length, hashes: Hashes(digests), custom: custom == .null ? nil : custom)
    }

    /// What changes in the delegation.
    /// - Throws: ``TrustClientError`` with code `invalid`.
    package func delegation() throws -> DelegationChange {
        try DelegationChange(try self.json() ?? [:])
    }

    private func json() throws -> JSONValue? {
        do {
            return try self.data.map { try JSONParser.parse($0) }
        } catch {
            throw TrustClientError(.invalid, "the details of a staged change to \(self.role) are not JSON: \(error)")
        }
    }
}

// MARK: - The file

extension Change {
    /// The change as its file holds it.
    package var bytes: [UInt8] {
        Self.struct([
            ("action", .string(self.action.rawValue)),
            ("role", .string(self.role.text)),
            ("type", .string(self.subject.rawValue)),
            ("path", .string(self.path)),
            ("data", self.data.map { .string(Base64.encode($0)) } ?? .null),
        ])
    }

    /// Reads a file.
    /// - Throws: ``TrustClientError`` with code `invalid`.
    package init(_ bytes: [UInt8]) throws {
        guard let json = try? JSONParser.parse(bytes), let action = json["action"]?.string.flatMap(Action.init),
            let subject = json["type"]?.string.flatMap(Subject.init), let role = json["role"]?.string,
            let path = json["path"]?.string
        else { throw TrustClientError(.invalid, "it is not a change that this version knows") }
        var data: [UInt8]?
        if let value = json["data"], value != .null {
            guard let decoded = value.string.flatMap(Base64.decode) else {
                throw TrustClientError(.invalid, "its data is not base64")
            }
            data = decoded
        }
        self.init(action: action, role: RoleName(role), subject: subject, path: path, data: data)
    }
}
