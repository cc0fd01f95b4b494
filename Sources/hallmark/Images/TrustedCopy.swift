// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import OCI
import RegistryClient

/// `hallmark copy --trust`: what is signed in the source, and what it is to be called where it goes.
struct TrustedCopy: Sendable {
    private struct Item: Sendable {
        let source: ImageTarget
        let destination: ImageTarget

        init(_ source: ImageTarget, as name: ImageReference) throws {
            self.source = source
            self.destination = try ImageTarget(name, digest: source.digest, size: source.size)
        }
    }

    private let items: [Item]
    private let destinationImages: TrustedImages
    private let trust: TrustOptions

    /// Asks the source's trust server.
    init(_ command: Copy, _ filter: CopyFilter) async throws {
        let passphrases = command.trust.passphrases
        func images(_ server: String?) throws -> TrustedImages {
            var options = command.trust
            if let server { options.server = server }
            return try options.images(passphrases: passphrases)
        }
        let source = try images(command.sourceServer)
        self.destinationImages = try images(command.destinationServer)
        self.trust = command.trust
        switch try command.task {
        case .image(let from, let to, let tag):
            self.items = try await source.signedTargets(of: from, all: false).map { target in
                let name = to.with(tag: tag ?? target.reference.tag ?? .latest)
                return try Item(target, as: name)
            }
        case .repository(let registry, let name, let other, let target):
            let from = try ImageReference(registry: registry, repository: name)
            let to = try ImageReference(registry: other, repository: target)
            self.items = try await source.signedTargets(of: from, all: true).compactMap { signed in
                guard let tag = signed.reference.tag, filter.admits(name, tag) else { return nil }
                return try Item(signed, as: to.with(tag: tag))
            }
            guard !self.items.isEmpty else {
                throw CommandError(.notSigned, "no signed tag of \(from.gun) is to be copied")
            }
        case .registry:
            throw ValidationError("with --trust name repositories")
        }
    }

    /// Copies by digest, each image once.
    func copy(_ copier: RegistryCopier) async throws -> CopyReport {
        var groups: [(digest: Digest, items: [Item])] = []
        for item in self.items {
            if let index = groups.firstIndex(where: { $0.digest == item.source.digest }) {
                groups[index].items.append(item)
            } else {
                groups.append((item.source.digest, [item]))
            }
        }
        var merged: CopyReport?
        for (digest, items) in groups {
            guard let first = items.first else { continue }
            let report = try await copier.copyImage(
                .digest(digest),
                of: first.source.reference.repository,
                to: first.destination.reference.repository,
                as: items.compactMap(\.destination.reference.tag)
            )
            if merged == nil {
                merged = report
            } else {
                for repository in report.repositories { merged?.add(repository) }
            }
        }
        guard let merged else { throw CommandError(.notSigned, "nothing that is signed is to be copied") }
        return merged
    }

    /// Signs what is whole in the destination.
    /// - Throws: when nothing can be signed. An image that failed to be copied is left out; the report says so.
    func sign(after report: CopyReport) async throws -> [SignedRepository] {
        let failed = report.failures.map(\.image)
        let copied = self.items.filter { item in !failed.contains { $0.hasSuffix("@\(item.source.digest)") } }
        let due = try await self.destinationImages.unsigned(copied.map(\.destination))
        guard !due.isEmpty else { return [] }
        // The sizes are those that were signed: what else came would not be it.
        for target in due { try await self.check(target) }
        return try await self.destinationImages.sign(due) { repository in
            SigningReport.showNewKeys(repository, self.trust)
        }
    }

    private func check(_ target: ImageTarget) async throws {
        let found = try await self.destinationImages.target(of: target.reference, expecting: target.digest)
        guard found.size == target.size else {
            throw CommandError(
                .contentMismatch,
                "\(target.reference.familiarDescription) has \(found.size) bytes, and is signed in the source as \(target.size)"
            )
        }
    }
}

extension CopyReport {
    /// Adds what was done to a repository to what was done to it before.
    fileprivate mutating func add(_ other: Repository) {
        let known = self.repositories.firstIndex {
            $0.source == other.source && $0.destination == other.destination
        }
        guard let index = known else {
            self.repositories.append(other)
            return
        }
        self.repositories[index].copied.add(other.copied)
        self.repositories[index].skipped.add(other.skipped)
        self.repositories[index].mounted += other.mounted
        self.repositories[index].bytes &+= other.bytes
        self.repositories[index].failures += other.failures
    }
}
