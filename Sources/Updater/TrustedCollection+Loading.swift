// SPDX-License-Identifier: Apache-2.0

package import TUF

extension TrustedCollection {
    /// Whether a file on disk is one that another process has verified since, and newer. Only what these keys have signed
    /// counts.
    package static func isNewer(
        _ present: [UInt8],
        than offered: [UInt8],
        by keys: RoleKeys,
        format: WireFormat
    ) -> Bool {
        guard let present = try? UnverifiedMetadata(present, format: format),
            let offered = try? UnverifiedMetadata(offered, format: format),
            let version = present.claimedVersion, let offeredVersion = offered.claimedVersion, version > offeredVersion
        else { return false }
        return (try? keys.verify(present)) != nil
    }

    /// Makes metadata trusted that trusted metadata lists: what is on disk if it will do, else what is fetched.
    /// - Parameters:
    ///   - role: `snapshot`, or a targets role.
    ///   - cached: what is on disk.
    ///   - fetch: has it from the server, as it is listed.
    ///   - take: the step that makes it trusted.
    /// - Returns: the bytes, and whether they were fetched.
    /// - Throws: what `fetch` and `take` throw; `TUFError` with code `notDelegated` when nothing is listed.
    @discardableResult
    package mutating func load(
        _ role: RoleName,
        cached: [UInt8]?,
        fetch: (FileMetadata) async throws -> [UInt8],
        take: (inout TrustedCollection, [UInt8]) throws -> Void
    ) async throws -> (bytes: [UInt8], isNew: Bool) {
        guard let listed = self.listed(role) else {
            throw TUFError(.notDelegated, role: role, "is not listed in the metadata above it")
        }
        if let cached {
            do {
                try take(&self, cached)
                return (cached, false)
            } catch {
                // Where hashes are listed, the same bytes would come again.
                let isSame =
                    listed.hashes != nil && (try? listed.verify(cached, role: role, format: self.format)) != nil
                if isSame { throw error }
            }
        }
        let bytes = try await fetch(listed)
        try take(&self, bytes)
        return (bytes, true)
    }
}
