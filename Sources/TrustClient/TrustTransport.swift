// SPDX-License-Identifier: Apache-2.0

package import NotaryAPI
package import TUF

/// One role's metadata on its way to a server.
package struct MetadataUpload: Sendable, Hashable {
    /// The role.
    package let role: RoleName
    /// The file.
    package let bytes: [UInt8]

    /// Makes a part of an upload.
    package init(role: RoleName, bytes: [UInt8]) {
        self.role = role
        self.bytes = bytes
    }
}

/// The way to a trust server. What comes back over it is not to be believed.
///
/// Every function throws ``TrustClientError`` with code `unreachable`, `unauthorised` or `rejected` as it applies, besides
/// what it lists.
package protocol TrustTransport: Sendable {
    /// Fetches metadata of a role.
    /// - Parameter limit: the most bytes to take; more are never held.
    /// - Throws: `noTrustData` when the server does not have it; `rollback` (with the TUF refusal `tooLarge`) when there are
    ///   more bytes than the limit.
    func fetch(_ role: RoleName, _ reference: MetadataReference, of gun: GUN, limit: Int) async throws -> [UInt8]

    /// Publishes metadata: all of it or none.
    /// - Throws: `conflict` when the server holds a version at least as new; `rejected` when it refuses the content.
    func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws

    /// The public key that the server signs a role with; made when there is none.
    func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey

    /// Asks the server for a new key. It is not used before a root names it.
    func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey

    /// Deletes all that the server has of a collection. Not an error when it has nothing.
    func delete(_ gun: GUN) async throws

    /// Whether the server answers at all, be it by asking for credentials.
    /// - Throws: `unreachable`.
    func ping() async throws
}
