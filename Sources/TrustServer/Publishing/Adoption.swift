// SPDX-License-Identifier: Apache-2.0

import Logging
import NotaryAPI
import TUF

/// Looks after collections that another program has put into the database, as Notary did before it was replaced, or when it
/// ran again in between: notes whose the server's keys are, which Notary does not write down, and that they are to be renewed.
struct Adoption: Sendable {
    private static let batch = 256

    let store: TrustStore
    let signer: any Signer
    let logger: Logger

    /// Goes through what has changed since it was done last: everything, the first time.
    /// - Returns: how many collections were looked at.
    /// - Throws: `DatabaseError`; ``SignerError`` when the signer does not answer.
    @discardableResult
    func run() async throws -> Int {
        let (from, to) = try await self.store.unadoptedChanges()
        guard from == 0 || from < to else { return 0 }
        var count = 0
        var last = ""
        while true {
            try Task.checkCancellation()
            let names = try await self.store.collections(changedAfter: from, upTo: to, after: last, limit: Self.batch)
            for name in names {
                guard let gun = try? GUN(name) else { continue }
                try await self.adopt(gun)
            }
            count += names.count
            guard names.count == Self.batch, let end = names.last else { break }
            last = end
        }
        try await self.store.noteAdopted(upTo: to)
        return count
    }

    private func adopt(_ gun: GUN) async throws {
        try await self.store.watch(gun)
        guard let file = try await self.store.file(.root, .current, of: gun) else { return }
        let root: Root
        do {
            root = try RootTrust(gun: gun.text).verifyStored(UnverifiedMetadata(file.bytes, format: .notary)).payload
        } catch {
            self.logger.warning("a stored root is not valid", metadata: ["gun": "\(gun)", "error": "\(error)"])
            return
        }
        for role in [RoleName.timestamp, .snapshot] {
            for key in try root.keys(of: role).keys where try await self.store.owner(of: key.id) == nil {
                if try await self.signer.publicKey(key.id) != nil { try await self.store.claim(key.id, for: gun) }
            }
        }
    }
}
