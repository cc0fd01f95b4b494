// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
import TUF

/// The way to a server that refuses to say what is current once it can no longer renew it.
///
/// notary-server answers 500 for the timestamp of a collection whose root, or whose publisher's snapshot, has expired, but still
/// serves every version of it by number. The newest is found by bisection: versions of timestamps have no gaps.
struct LapsedTransport: TrustTransport {
    private let base: any TrustTransport

    init(_ base: any TrustTransport) {
        self.base = base
    }

    func fetch(_ role: RoleName, _ reference: MetadataReference, of gun: GUN, limit: Int) async throws -> [UInt8] {
        do {
            return try await self.base.fetch(role, reference, of: gun, limit: limit)
        } catch let error as TrustClientError
            where error.code == .unreachable && error.serverCode != nil && reference == .current && role == .timestamp
        {
            guard let newest = try await self.newest(role, of: gun, limit: limit) else { throw error }
            return newest
        }
    }

    private func newest(_ role: RoleName, of gun: GUN, limit: Int) async throws -> [UInt8]? {
        var found: (version: Int64, bytes: [UInt8])?
        var missing: Int64 = 1
        while missing <= Int64(Int32.max), let bytes = try await self.version(missing, role, gun, limit) {
            found = (missing, bytes)
            missing *= 2
        }
        guard var found else { return nil }
        while found.version + 1 < missing {
            let middle = found.version + (missing - found.version) / 2
            if let bytes = try await self.version(middle, role, gun, limit) {
                found = (middle, bytes)
            } else {
                missing = middle
            }
        }
        return found.bytes
    }

    private func version(_ version: Int64, _ role: RoleName, _ gun: GUN, _ limit: Int) async throws -> [UInt8]? {
        do {
            return try await self.base.fetch(role, .version(version), of: gun, limit: limit)
        } catch let error as TrustClientError where error.code == .noTrustData {
            return nil
        }
    }

    func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws {
        try await self.base.upload(metadata, to: gun)
    }

    func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.serverKey(for: role, of: gun)
    }

    func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.rotateServerKey(for: role, of: gun)
    }

    func delete(_ gun: GUN) async throws { try await self.base.delete(gun) }

    func ping() async throws { try await self.base.ping() }
}
