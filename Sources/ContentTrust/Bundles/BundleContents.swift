// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import NotaryAPI
package import OCI
package import TUF

/// The list that an offline bundle begins with. Nothing in it is signed, and nothing is believed of it that metadata does not say.
package struct BundleContents: Sendable, Hashable {
    /// A collection.
    package struct Collection: Sendable, Hashable {
        /// Its name.
        package let gun: GUN
        /// The versions of its roots, rising by one.
        package let roots: [Int64]
        /// Its other roles, `timestamp`, `snapshot` and `targets` first.
        package let roles: [RoleName]
        /// Its images whose content comes along.
        package let images: [Image]
    }

    /// An image whose content comes along.
    package struct Image: Sendable, Hashable {
        /// The name that it is pulled by.
        package let reference: ImageReference
        /// Its manifest's digest.
        package let digest: Digest
        /// Its manifest's size in bytes.
        package let size: Int64
    }

    /// The name of the member that holds this, the first of the archive.
    static let member = "hallmark-bundle.json"
    private static let type = "hallmark-bundle"
    /// The most bytes of it.
    static let sizeLimit = 16 << 20
    private static let collectionLimit = 1024
    private static let imageLimit = 20_000

    /// When it was made, as whoever made it says.
    package let exported: Expiry
    /// The collections, each once.
    package let collections: [Collection]

    init(exported: Expiry, collections: [Collection]) {
        self.exported = exported
        self.collections = collections
    }

    /// - Throws: `TUFError`, `OCIError`.
    init(_ bytes: [UInt8]) throws {
        func refuse(_ reason: String) -> TUFError { TUFError(.malformed, "\(Self.member) \(reason)") }
        let value = try JSONParser.parse(bytes)
        try Self.require(value, ["_type", "spec_version", "exported", "collections"], "it")
        guard value["_type"] == .string(Self.type), value["spec_version"]?.string?.hasPrefix("1.") == true else {
            throw refuse("is of another kind or of a later version")
        }
        self.exported = try Expiry(parsing: value["exported"]?.string ?? "")
        guard let collections = value["collections"]?.array, (1...Self.collectionLimit).contains(collections.count)
        else {
            throw refuse("lists no collection, or more than \(Self.collectionLimit)")
        }
        self.collections = try collections.map { try Self.collection($0, refuse) }
        guard Set(self.collections.map(\.gun)).count == collections.count else {
            throw refuse("lists a collection twice")
        }
        let images = self.collections.flatMap(\.images)
        guard images.count <= Self.imageLimit, Set(images.map(\.reference)).count == images.count else {
            throw refuse("lists an image twice, or more than \(Self.imageLimit)")
        }
    }

    private static func collection(_ value: JSONValue, _ refuse: (String) -> TUFError) throws -> Collection {
        try self.require(value, ["gun", "roots", "roles", "images"], "a collection")
        let gun = try GUN(value["gun"]?.string ?? "")
        let roots = (value["roots"]?.array ?? []).compactMap(\.integer)
        guard let first = roots.first, first >= 1, roots.count <= WireFormat.rotationLimit + 1,
            roots.count == value["roots"]?.array?.count,
            zip(roots, roots.dropFirst()).allSatisfy({ $1 > $0 && $1 - $0 == 1 })
        else { throw refuse("does not list the versions of \(gun)'s root in order") }
        let names = (value["roles"]?.array ?? []).compactMap(\.string)
        let roles = try names.map { try RoleName(notary: $0) }
        guard roles.count <= WireFormat.delegationLimit, names.count == value["roles"]?.array?.count,
            Array(roles.prefix(3)) == [.timestamp, .snapshot, .targets], roles.dropFirst(3).allSatisfy(\.isDelegation),
            Set(roles).count == roles.count
        else { throw refuse("does not list the roles of \(gun) in order") }
        let images = try (value["images"]?.array ?? []).map { value -> Image in
            try self.require(value, ["name", "digest", "size"], "an image")
            guard let size = value["size"]?.integer, size >= 0 else { throw refuse("gives an image no size") }
            let reference = try ImageReference(value["name"]?.string ?? "")
            guard reference.tag != nil, reference.digest == nil else { throw refuse("lists an image without tag") }
            return Image(reference: reference, digest: try Digest(value["digest"]?.string ?? ""), size: size)
        }
        return Collection(gun: gun, roots: roots, roles: roles, images: images)
    }

    private static func require(_ value: JSONValue, _ names: [String], _ what: String) throws {
        guard let members = value.object, members.keys.sorted() == names.sorted() else {
            throw TUFError(.malformed, "\(Self.member): \(what) must have the members \(names.joined(separator: ", "))")
        }
    }

    /// The member as it is written.
    var bytes: [UInt8] {
        let collections = self.collections.map { collection -> JSONValue in
            [
                "gun": .string(collection.gun.text),
                "roots": .array(collection.roots.map { .integer($0) }),
                "roles": .array(collection.roles.map { .string($0.text) }),
                "images": .array(
                    collection.images.map { image in
                        [
                            "name": .string(image.reference.description), "digest": .string(image.digest.description),
                            "size": .integer(image.size),
                        ]
                    }
                ),
            ]
        }
        return CanonicalJSON.encode([
            "_type": .string(Self.type), "spec_version": "1.0", "exported": .string(self.exported.text),
            "collections": .array(collections),
        ])
    }

    /// The member of a version of a collection's root.
    static func root(_ version: Int64, of index: Int) -> String { "trust/\(index)/root/\(version).json" }

    /// The member of another role.
    static func role(_ role: RoleName, of index: Int) -> String { "trust/\(index)/\(role.text).json" }

    /// The members before the images, in their order.
    var members: [String] {
        [Self.member]
            + self.collections.enumerated().flatMap { index, collection in
                collection.roots.map { Self.root($0, of: index) } + collection.roles.map { Self.role($0, of: index) }
            }
    }

    /// Whether there is content of images.
    var hasImages: Bool { self.collections.contains { !$0.images.isEmpty } }
}
