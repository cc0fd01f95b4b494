// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import OCI
import RegistryClient

/// What the arguments of `hallmark copy` mean.
enum CopyTask: Sendable, Hashable {
    /// One image; without a tag it keeps only its digest.
    case image(ImageReference, destination: ImageReference, tag: Tag?)
    /// A repository with its tags.
    case repository(registry: String, RepositoryName, destination: String, RepositoryName)
    /// A registry, and what goes before the names of its repositories in the destination.
    case registry(String, destination: String, prefix: RepositoryName?)

    /// - Throws: `ValidationError`.
    init(image source: String, to destination: String) throws {
        let from = try ImageReference(argument: source)
        let to = try ImageReference(argument: destination)
        if let wanted = to.digest, from.digest != nil, from.digest != wanted {
            throw ValidationError("an image keeps its digest: \(destination) cannot be \(source)")
        }
        if let wanted = to.digest, from.digest == nil {
            throw ValidationError("name the image by digest in the source: \(from.gun)@\(wanted)")
        }
        let last = destination.split(separator: "/").last ?? ""
        let isNamed = last.contains(":") && !(last.contains("@") && !last.prefix { $0 != "@" }.contains(":"))
        self = .image(from, destination: to, tag: isNamed ? to.tag : from.tag)
    }

    /// - Throws: `ValidationError`.
    init(all source: String, to destination: String) throws {
        let (from, to) = (try CopyPlace(source), try CopyPlace(destination))
        if let name = from.repository {
            guard let target = to.repository else {
                throw ValidationError(
                    "\(source) is a repository and \(destination) a registry: name the repository, \(destination)/\(name)"
                )
            }
            self = .repository(registry: from.registry, name, destination: to.registry, target)
        } else {
            self = .registry(from.registry, destination: to.registry, prefix: to.repository)
        }
    }

    var sourceRegistry: String {
        switch self {
        case .image(let from, _, _): from.registry
        case .repository(let registry, _, _, _), .registry(let registry, _, _): registry
        }
    }

    var destinationRegistry: String {
        switch self {
        case .image(_, let to, _): to.registry
        case .repository(_, _, let registry, _), .registry(_, let registry, _): registry
        }
    }

    func run(_ copier: RegistryCopier, _ filter: CopyFilter) async throws -> CopyReport {
        switch self {
        case .image(let from, let to, let tag):
            try await copier.copyImage(
                from.reference,
                of: from.repository,
                to: to.repository,
                as: tag.map { [$0] } ?? []
            )
        case .repository(_, let name, _, let target):
            try await copier.copyRepository(name, to: target, filter: filter)
        case .registry(_, _, let prefix):
            try await copier.copyRegistry(prefix: prefix, filter: filter)
        }
    }
}

/// A registry, or a repository in it.
private struct CopyPlace {
    let registry: String
    let repository: RepositoryName?

    /// - Throws: `ValidationError`. A part without a slash is a registry, whatever it looks like.
    init(_ argument: String) throws {
        let text = argument.hasSuffix("/") ? String(argument.dropLast()) : argument
        do {
            if text.contains("/") {
                let reference = try ImageReference(text)
                let hasTag = text.split(separator: "/").last?.contains { $0 == ":" || $0 == "@" } ?? false
                guard !hasTag else {
                    throw ValidationError("\(argument) is one image: leave out --all, or its tag")
                }
                self.registry = reference.registry
                self.repository = reference.repository
            } else {
                // Any name will do: what it is in front of is checked.
                self.registry = try ImageReference(registry: text, repository: RepositoryName("name")).registry
                self.repository = nil
            }
        } catch let error as OCIError {
            throw ValidationError("\(error)")
        }
    }
}
