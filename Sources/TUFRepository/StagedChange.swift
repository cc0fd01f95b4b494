// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import TUF

/// One change that waits for the next publish.
package enum StagedChange: Sendable, Hashable {
    /// Names a file, in place of what its path names now. With no role it goes where the repository's bins say, or to `targets`.
    case addTarget(String, TargetFile, role: RoleName?)
    /// Takes a name away.
    case removeTarget(String, role: RoleName?)
    /// Makes a delegation or changes one.
    case delegate(DelegationEdit)
    /// Takes a delegation away.
    case removeDelegation(RoleName)
    /// Shares all of the top-level targets out over bins by the hash of their paths.
    case bins(BinsEdit)
    /// Changes who signs for a top-level role.
    case keys(KeysEdit)
    /// Signs a role again with a later expiry.
    case renew(RoleName)

    /// What changes in a delegation.
    package struct DelegationEdit: Sendable, Hashable {
        /// The role that is delegated to.
        package var role: RoleName
        /// The role that delegates; looked for when nil, and `targets` for a new one.
        package var delegator: RoleName?
        package var addKeys: [PublicKey]
        package var removeKeys: [KeyID]
        /// nil leaves it, or is 1.
        package var threshold: Int64?
        package var addPaths: [String]
        package var removePaths: [String]
        /// Whether paths are prefixes of hashes; nil leaves it, or is false.
        package var isByHash: Bool?
        /// nil leaves it, or is false.
        package var isTerminating: Bool?

        package init(
            role: RoleName,
            delegator: RoleName? = nil,
            addKeys: [PublicKey] = [],
            removeKeys: [KeyID] = [],
            threshold: Int64? = nil,
            addPaths: [String] = [],
            removePaths: [String] = [],
            isByHash: Bool? = nil,
            isTerminating: Bool? = nil
        ) {
            self.role = role
            self.delegator = delegator
            self.addKeys = addKeys
            self.removeKeys = removeKeys
            self.threshold = threshold
            self.addPaths = addPaths
            self.removePaths = removePaths
            self.isByHash = isByHash
            self.isTerminating = isTerminating
        }
    }

    /// Bins to make.
    package struct BinsEdit: Sendable, Hashable {
        /// How many: a power of two, 2 or more.
        package var count: Int
        package var keys: [PublicKey]
        package var threshold: Int64
        /// What their names begin with.
        package var prefix: String
        /// Whether they are described once (TAP 15) instead of one by one.
        package var isSuccinct: Bool

        package init(
            count: Int,
            keys: [PublicKey],
            threshold: Int64 = 1,
            prefix: String = "bin",
            isSuccinct: Bool = false
        ) {
            self.count = count
            self.keys = keys
            self.threshold = threshold
            self.prefix = prefix
            self.isSuccinct = isSuccinct
        }
    }

    /// A change of a role's keys.
    package struct KeysEdit: Sendable, Hashable {
        package var role: RoleName
        package var add: [PublicKey]
        package var remove: [KeyID]
        /// Whether all keys go that are not added.
        package var replacesAll: Bool
        /// nil leaves it.
        package var threshold: Int64?

        package init(
            role: RoleName,
            add: [PublicKey] = [],
            remove: [KeyID] = [],
            replacesAll: Bool = false,
            threshold: Int64? = nil
        ) {
            self.role = role
            self.add = add
            self.remove = remove
            self.replacesAll = replacesAll
            self.threshold = threshold
        }
    }

    /// One line for people.
    package var summary: String {
        switch self {
        case .addTarget(let path, let file, let role):
            "add \(path) (\(file.length) bytes)\(role.map { " to \($0)" } ?? "")"
        case .removeTarget(let path, let role): "remove \(path)\(role.map { " from \($0)" } ?? "")"
        case .delegate(let edit): "delegate to \(edit.role)"
        case .removeDelegation(let role): "remove the delegation \(role)"
        case .bins(let edit): "share targets out over \(edit.count) bins"
        case .keys(let edit): "change the keys of \(edit.role)"
        case .renew(let role): "sign \(role) again"
        }
    }
}

// MARK: - The file

extension StagedChange {
    /// The change as its file holds it. Targets and keys stand in it as in metadata.
    var bytes: [UInt8] {
        var members = ByteOrderedMap<JSONValue>()
        func set(_ name: String, _ value: JSONValue?) { if let value { members[name] = value } }
        func ids(_ ids: [KeyID]) -> JSONValue { .array(ids.map { .string($0.text) }) }
        func texts(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
        switch self {
        case .addTarget(let path, let file, let role):
            set("change", "addTarget")
            set("path", .string(path))
            set("metadata", Self.metadata([path: file]))
            set("role", role.map { .string($0.text) })
        case .removeTarget(let path, let role):
            set("change", "removeTarget")
            set("path", .string(path))
            set("role", role.map { .string($0.text) })
        case .delegate(let edit):
            set("change", "delegate")
            set("role", .string(edit.role.text))
            set("delegator", edit.delegator.map { .string($0.text) })
            set("metadata", Self.metadata(keys: edit.addKeys))
            set("removeKeys", ids(edit.removeKeys))
            set("threshold", edit.threshold.map { .integer($0) })
            set("addPaths", texts(edit.addPaths))
            set("removePaths", texts(edit.removePaths))
            set("isByHash", edit.isByHash.map { .bool($0) })
            set("isTerminating", edit.isTerminating.map { .bool($0) })
        case .removeDelegation(let role):
            set("change", "removeDelegation")
            set("role", .string(role.text))
        case .bins(let edit):
            set("change", "bins")
            set("count", .integer(Int64(edit.count)))
            set("metadata", Self.metadata(keys: edit.keys))
            set("threshold", .integer(edit.threshold))
            set("prefix", .string(edit.prefix))
            set("isSuccinct", .bool(edit.isSuccinct))
        case .keys(let edit):
            set("change", "keys")
            set("role", .string(edit.role.text))
            set("metadata", Self.metadata(keys: edit.add))
            set("removeKeys", ids(edit.remove))
            set("replacesAll", .bool(edit.replacesAll))
            set("threshold", edit.threshold.map { .integer($0) })
        case .renew(let role):
            set("change", "renew")
            set("role", .string(role.text))
        }
        return CanonicalJSON.encodeForWire(.object(members))
    }

    private static func metadata(_ targets: TargetMap = [:], keys: [PublicKey] = []) -> JSONValue {
        var payload = Targets(version: 1, expires: Expiry(Date(timeIntervalSince1970: 0)), targets: targets)
        for key in keys { payload.delegations.keys[key.id.text] = key }
        return payload.json(format: .tuf)
    }

    /// Reads a file.
    /// - Throws: ``RepositoryError`` with code `malformed`.
    init(_ bytes: [UInt8]) throws {
        do {
            self = try Self.parse(try JSONParser.parse(bytes))
        } catch let error as TUFError {
            throw RepositoryError(.malformed, "it is not a change: \(error)")
        }
    }

    private static func parse(_ json: JSONValue) throws -> StagedChange {
        func text(_ name: String) throws -> String {
            guard let text = json[name]?.string else { throw TUFError(.malformed, "\(name) is missing") }
            return text
        }
        func texts(_ name: String) -> [String] { (json[name]?.array ?? []).compactMap(\.string) }
        func ids(_ name: String) -> [KeyID] { texts(name).map { KeyID($0) } }
        func flag(_ name: String) -> Bool? { if case .bool(let value)? = json[name] { value } else { nil } }
        let role = json["role"]?.string.map { RoleName($0) }
        func required() throws -> RoleName { RoleName(try text("role")) }
        let metadata = try json["metadata"].map { try Targets($0, format: .tuf) }
        let keys = metadata?.delegations.keys.values ?? []
        switch try text("change") {
        case "addTarget":
            let path = try text("path")
            guard let file = metadata?.targets[path] else { throw TUFError(.malformed, "the target is missing") }
            return .addTarget(path, file, role: role)
        case "removeTarget": return .removeTarget(try text("path"), role: role)
        case "delegate":
            return .delegate(
                DelegationEdit(
                    role: try required(),
                    delegator: json["delegator"]?.string.map { RoleName($0) },
                    addKeys: keys,
                    removeKeys: ids("removeKeys"),
                    threshold: json["threshold"]?.integer,
                    addPaths: texts("addPaths"),
                    removePaths: texts("removePaths"),
                    isByHash: flag("isByHash"),
                    isTerminating: flag("isTerminating")
                )
            )
        case "removeDelegation": return .removeDelegation(try required())
        case "bins":
            return .bins(
                BinsEdit(
                    count: Int(clamping: json["count"]?.integer ?? 0),
                    keys: keys,
                    threshold: json["threshold"]?.integer ?? 1,
                    prefix: try text("prefix"),
                    isSuccinct: flag("isSuccinct") ?? false
                )
            )
        case "keys":
            return .keys(
                KeysEdit(
                    role: try required(),
                    add: keys,
                    remove: ids("removeKeys"),
                    replacesAll: flag("replacesAll") ?? false,
                    threshold: json["threshold"]?.integer
                )
            )
        case "renew": return .renew(try required())
        case let other: throw TUFError(.malformed, "the change \(other.prefix(64)) is not known")
        }
    }
}
