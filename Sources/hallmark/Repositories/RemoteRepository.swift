// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Crypto
import DurableFiles
import Foundation
import TUF
import Updater

/// A TUF repository on a web server, as a reader sees it.
struct RemoteRepositoryOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Of a repository at a URL, the root to trust: needed the first time, then kept in the trust directory.",
            valueName: "file"
        )
    )
    var root: String?

    /// Refreshes what is known of a repository, and lists all its targets.
    func list(_ url: String, _ trust: TrustOptions) async throws -> [TargetInfo] {
        try await self.reading(url, trust) { updater in
            var repository = try await updater.refresh()
            return try await repository.list()
        }
    }

    /// Refreshes what is known of a repository, and looks a target up.
    func find(_ target: String, in url: String, _ trust: TrustOptions) async throws -> TargetInfo {
        try await self.reading(url, trust) { updater in
            var repository = try await updater.refresh()
            return try await repository.find(target)
        }
    }

    private func reading<Result: Sendable>(
        _ url: String,
        _ trust: TrustOptions,
        _ body: @escaping @Sendable (Updater) async throws -> Result
    ) async throws -> Result {
        let base = url.hasSuffix("/") ? String(url.dropLast()) : url
        var server = try RepositoryServer(metadata: "\(base)/metadata", targets: "\(base)/targets")
        if let file = trust.tlscacert?.expandingTilde { server.authorityFiles = [file] }
        let name = Hexadecimal.encode(SHA256.hash(data: Array(base.utf8)))
        let directory = "\(try trust.settings.trustDirectory)/tuf-repositories/\(name)"
        var root: [UInt8]?
        if let path = self.root?.expandingTilde {
            root = try await BlockingWork.run { try DurableFile.read(path, limit: WireFormat.rootLimit) }
            guard root != nil else { throw CommandError(.failure, "there is no file \(path) with a root") }
        }
        let trusted = root
        return try await HTTPTransport.with(server) { transport in
            let updater = Updater(transport: transport, directory: directory, trustedRoot: trusted)
            return try await body(updater)
        }
    }
}
