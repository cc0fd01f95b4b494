// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
import OCI
import TUF
import TrustClient

/// An offline bundle in a tar file: the metadata of collections, and an OCI image layout with content of their images.
///
/// It is read where it lies; nothing is unpacked. Exactly the members that its list has may be there, as plain files and in order.
package struct OfflineBundle: Sendable {
    /// The most bytes of metadata.
    private static let metadataLimit: Int64 = 512 << 20

    /// The file.
    package let path: String
    /// What it says that it holds.
    package let contents: BundleContents
    private let members: [String: FileRange]

    /// Opens a bundle and compares what is there with its list. Blocks.
    /// - Throws: ``ContentTrustError`` with code `bundle`; `OCIError`.
    package init(path: String) throws {
        func refuse(_ reason: String) -> ContentTrustError {
            ContentTrustError(.bundle, "\(path) is no whole bundle: \(reason)")
        }
        self.path = path
        let members: [TarArchive.Entry]
        do {
            members = try TarArchive(path: path).members
        } catch let error as OCIError where error.code == .archiveInvalid {
            throw refuse(error.description)
        }
        if let other = members.first(where: { $0.kind != .file }) {
            throw refuse("\(other.name.prefix(200)) is no plain file")
        }
        guard let first = members.first, first.name == BundleContents.member else {
            throw refuse("it does not begin with \(BundleContents.member)")
        }
        let contents: BundleContents
        do {
            contents = try BundleContents(try first.content.open().readAll(limit: BundleContents.sizeLimit))
        } catch {
            throw refuse("\(error)")
        }
        self.contents = contents
        var expected = contents.members
        if contents.hasImages { expected += [Self.marker, Self.index] }
        let names = members.map(\.name)
        guard names.starts(with: expected) else {
            let wrong = zip(names, expected).first { $0 != $1 }
            throw refuse(
                wrong.map { "found \($0.0.prefix(200)) where \($0.1) should be" }
                    ?? "\(expected[names.count]) is missing"
            )
        }
        let blobs = names.dropFirst(expected.count)
        guard zip(blobs, blobs.dropFirst()).allSatisfy({ $0.utf8.lexicographicallyPrecedes($1.utf8) }),
            blobs.allSatisfy({ contents.hasImages && Self.digest(ofBlob: $0) != nil })
        else { throw refuse("it has members that its list does not have, or in another order") }
        let metadata = members.prefix(contents.members.count).reduce(Int64(0)) { $0 &+ $1.content.length }
        guard (0...Self.metadataLimit).contains(metadata) else { throw refuse("it has too much metadata") }
        self.members = Dictionary(members.map { ($0.name, $0.content) }, uniquingKeysWith: { first, _ in first })
    }

    private static let marker = "oci-layout"
    private static let index = "index.json"

    private static func digest(ofBlob name: String) -> Digest? {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "blobs" else { return nil }
        return try? Digest("\(parts[1]):\(parts[2])")
    }

    /// The digests of all content that is there.
    var blobs: Set<Digest> { Set(self.members.keys.compactMap { Self.digest(ofBlob: $0) }) }

    /// A collection's metadata, as a server of it. Blocks.
    func transport(_ index: Int) throws -> StoredTransport {
        let collection = self.contents.collections[index]
        var roots: [Int64: [UInt8]] = [:]
        for version in collection.roots {
            roots[version] = try self.bytes(BundleContents.root(version, of: index), limit: WireFormat.rootLimit)
        }
        var files: [RoleName: [UInt8]] = [:]
        for role in collection.roles {
            let limit = role == .timestamp ? WireFormat.timestampLimit : WireFormat.metadataLimit
            files[role] = try self.bytes(BundleContents.role(role, of: index), limit: limit)
        }
        return StoredTransport(roots: roots, files: files)
    }

    private func bytes(_ member: String, limit: Int) throws -> [UInt8] {
        guard let range = self.members[member] else {
            throw ContentTrustError(.bundle, "\(self.path) is no whole bundle: \(member) is missing")
        }
        guard range.length <= Int64(limit) else {
            throw ContentTrustError(
                .bundle,
                "\(self.path): \(member) has \(range.length) bytes, at most \(limit) are expected"
            )
        }
        return try range.open().readAll(limit: limit)
    }

    /// What the timestamp of a collection says of itself, unverified: its version, and until when it is in force. Blocks.
    package func claimedTimestamp(_ index: Int) throws -> (version: Int64, expires: String)? {
        let member = BundleContents.role(.timestamp, of: index)
        let value = try JSONParser.parse(try self.bytes(member, limit: WireFormat.timestampLimit))
        guard let version = value["signed"]?["version"]?.integer, let expires = value["signed"]?["expires"]?.string
        else {
            return nil
        }
        return (version, expires)
    }

    /// The images, as a layout that is read where it lies. Blocks.
    /// - Throws: `OCIError`.
    func images() throws -> ImageSource {
        // Nothing of an OCI layout is ever compressed into that directory.
        try ImageSource(path: self.path, temporaryDirectory: "/nonexistent")
    }
}
