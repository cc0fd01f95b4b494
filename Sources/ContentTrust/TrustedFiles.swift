// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import NotaryAPI
package import TUF
package import TrustClient

/// A collection of any files, as `notary` reads it.
package struct TrustedFiles: Sendable {
    /// An answer, and what it rests on.
    package struct Answer<Value: Sendable>: Sendable {
        /// The answer.
        package let value: Value
        /// How current the metadata is.
        package let freshness: Freshness?
        /// The root keys that have just become trusted; nil when the collection was known.
        package let firstUse: FirstUse?
        /// What did not stop the reading but should be known.
        package let warnings: [CollectionWarning]
    }

    private let settings: ClientSettings
    private let now: @Sendable () -> Date

    package init(settings: ClientSettings, now: @escaping @Sendable () -> Date = { Date() }) {
        self.settings = settings
        self.now = now
    }

    /// All targets of a collection, or of the subtrees of some of its roles; a name counts in the role that is named first. Each
    /// name once, in the order of their bytes.
    /// - Throws: `TrustClientError`.
    package func list(_ gun: GUN, roles: [RoleName] = [.targets]) async throws -> Answer<[FoundTarget]> {
        try await self.ask(gun) { try await $0.list(roles) }
    }

    /// What a name means.
    /// - Throws: `TrustClientError`, with code `notSigned` when no role that may has signed it.
    package func lookup(_ gun: GUN, _ name: String) async throws -> Answer<FoundTarget> {
        try await self.ask(gun) { collection in
            guard let found = try await collection.lookup(name) else { throw collection.notSigned(name) }
            return found
        }
    }

    /// Looks a name up, then reads content and hands it on once all of it is what was signed.
    /// - Throws: `TrustClientError`, with code `notSigned` or `contentMismatch`; nothing is handed on then.
    package func verify(
        _ gun: GUN,
        _ name: String,
        _ content: ContentSource,
        to destination: ContentDestination
    ) async throws -> Answer<FoundTarget> {
        let answer = try await self.lookup(gun, name)
        try await answer.value.pass(content, to: destination)
        return answer
    }

    /// All delegations, each after the one above it.
    /// - Throws: `TrustClientError`.
    package func delegations(_ gun: GUN) async throws -> Answer<[DelegationInfo]> {
        try await self.ask(gun) { try await $0.delegations() }
    }

    private func ask<Value: Sendable>(
        _ gun: GUN,
        _ question: @escaping @Sendable (inout LoadedCollection) async throws -> Value
    ) async throws -> Answer<Value> {
        let connection = CollectionConnection(settings: self.settings, now: self.now)
        do {
            return try await connection.with(gun) { client in
                var collection = try await client.update()
                let value = try await question(&collection)
                return Answer(
                    value: value,
                    freshness: collection.freshness,
                    firstUse: collection.firstUse,
                    warnings: collection.warnings
                )
            }
        } catch let error as TrustClientError where error.code == .noTrustData {
            guard let hint = gun.imageNameHint else { throw error }
            throw TrustClientError(.noTrustData, "\(error.message). \(hint)")
        }
    }
}

extension GUN {
    /// What to say of a name that looks like an image's with its tag; nil for any other.
    var imageNameHint: String? {
        guard let slash = self.text.lastIndex(of: "/"),
            let end = self.text[slash...].firstIndex(where: { $0 == ":" || $0 == "@" })
        else { return nil }
        let repository = self.text[..<end]
        return "It looks like an image with its tag: the collection is \(repository), and its tags are the targets"
    }
}
