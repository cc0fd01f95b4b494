// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import OCI
import TUF

/// `hallmark sign IMAGE:TAG…`
struct SignImages {
    let images: [ImageReference]
    let digest: Digest?
    let roles: [RoleName]
    let custom: JSONValue?
    let trust: TrustOptions
    let output: OutputOptions

    func run() async throws {
        var options = TrustedImages.SigningOptions()
        options.expectedDigest = self.digest
        options.roles = self.roles
        options.custom = self.custom
        var done: [SignedRepository] = []
        do {
            try await self.trust.images.sign(self.images, options) { repository in
                done.append(repository)
                if self.output.output == .text { self.tell(repository) }
            }
        } catch {
            // What is signed is signed, whatever became of the rest.
            if !done.isEmpty { self.finish(done) }
            throw error
        }
        self.finish(done)
    }

    private func tell(_ repository: SignedRepository) {
        SigningReport.showNewKeys(repository, self.trust)
        for image in repository.images {
            let roles = image.roles.map(\.text).joined(separator: ", ")
            print("Signed \(image.target.reference.familiarDescription)@\(image.target.digest) as \(roles)")
        }
    }

    private func finish(_ done: [SignedRepository]) {
        if self.output.output == .json { JSONOutput.write(SigningReport(done)) }
    }
}

/// What was signed, as JSON.
struct SigningReport: Encodable {
    struct Image: Encodable {
        let image: String
        let digest: String
        let mediaType: String?
        let size: Int64
        let roles: [String]

        init(_ image: SignedImage) {
            self.image = image.target.reference.description
            self.digest = image.target.digest.description
            self.mediaType = image.target.mediaType?.rawValue
            self.size = image.target.size
            self.roles = image.roles.map(\.text)
        }
    }

    struct Repository: Encodable {
        let name: String
        let images: [Image]
        let newRootKeys: [String]
    }

    let signed: [Repository]

    init(_ repositories: [SignedRepository]) {
        self.signed = repositories.map {
            Repository(
                name: $0.gun,
                images: $0.images.map(Image.init),
                newRootKeys: $0.newRootKeyIDs.map(\.text)
            )
        }
    }

    /// Says which keys were made, and what to do with them.
    static func showNewKeys(_ repository: SignedRepository, _ trust: TrustOptions) {
        self.showNewKeys(repository.newRootKeyIDs, gun: repository.gun, trust)
    }

    static func showNewKeys(_ ids: [KeyID], gun: String, _ trust: TrustOptions) {
        let directory = (try? trust.settings.trustDirectory) ?? "~/.docker/trust"
        for id in ids {
            Notice.write(
                """
                Made \(gun) with root key \(id): tell it to those who will pull. \
                Back up \(directory)/private, and keep the root key in it offline
                """
            )
        }
    }
}

/// A file of JSON that is signed beside a tag.
enum CustomData {
    private static let limit = 1 << 20

    static func read(_ path: String?) throws -> JSONValue? {
        guard let path = path?.expandingTilde else { return nil }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandError(.failure, "\(path) cannot be read")
        }
        guard data.count <= Self.limit else {
            throw CommandError(.failure, "\(path) is larger than \(Self.limit) bytes")
        }
        do {
            return try JSONParser.parse(data)
        } catch {
            throw ValidationError("\(path) is not JSON: \(error)")
        }
    }
}
