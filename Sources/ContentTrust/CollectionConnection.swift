// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import FoundationEssentials
import NotaryAPI
import OCI
import TUF
import TrustClient

/// Opens collections the way the settings say.
struct CollectionConnection: Sendable {
    let settings: ClientSettings
    let now: @Sendable () -> Date

    /// Opens a collection for the time that the body runs.
    func with<Result: Sendable>(
        _ gun: GUN,
        _ body: @Sendable (CollectionClient) async throws -> Result
    ) async throws -> Result {
        let rules = try await self.rules(for: gun)
        return try await NotaryTransport.with(
            try self.settings.trustServer(for: gun),
            credentials: self.settings.credentials(for: gun)
        ) { transport in
            try await body(self.client(of: gun, over: transport, rules, maximumAge: self.settings.maximumAge))
        }
    }

    /// A collection's client over any transport, for what is carried in: that is not confirmed by being read, and who carries it in
    /// says when it was.
    func client(
        of gun: GUN,
        over transport: any TrustTransport,
        in directory: String? = nil
    ) async throws -> CollectionClient {
        self.client(of: gun, over: transport, try await self.rules(for: gun), in: directory, maximumAge: nil)
    }

    private func client(
        of gun: GUN,
        over transport: any TrustTransport,
        _ rules: Rules,
        in directory: String? = nil,
        maximumAge: Int64?
    ) -> CollectionClient {
        CollectionClient(
            gun: gun,
            transport: transport,
            cache: MetadataCache(directory: directory ?? self.settings.trustDirectory),
            anchor: rules.anchor,
            pins: rules.pins,
            maximumAge: maximumAge.map { TimeInterval($0) },
            now: self.now
        )
    }

    private struct Rules: Sendable {
        let pins: [RootPin]
        let anchor: RootAnchor
    }

    /// What the files of pins say; they are read here, and not where work must not block.
    private func rules(for gun: GUN) async throws -> Rules {
        let (settings, now) = (self.settings, self.now())
        return try await BlockingWork.run {
            let pins = try settings.rootPins(for: gun, at: now)
            // Pins decide where there are some.
            let isOpen = pins.isEmpty && settings.refusesFirstUse(at: now) == nil
            return Rules(pins: pins, anchor: isOpen ? .firstUse : .knownOnly)
        }
    }
}

extension TrustedImages {
    /// Opens the collection of exactly this name, to change it, for the time that the body runs: aliases are for reading.
    func withOwnCollection<Result: Sendable>(
        of reference: ImageReference,
        _ body: @Sendable (CollectionClient) async throws -> Result
    ) async throws -> Result {
        let connection = CollectionConnection(settings: self.settings, now: self.now)
        return try await connection.with(try GUN(reference.gun), body)
    }
}
