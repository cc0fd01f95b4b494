// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Ceremony
import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import TUF
import TUFRepository

/// The repository of a verb that works on nothing else.
struct RepositoryArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp("The repository's directory: /…, ./…, ../… or file:….", valueName: "directory"),
        completion: .directory,
        transform: CollectionArgument.init(argument:)
    )
    var collection: CollectionArgument
}

/// Which kind of key is made.
enum KeyAlgorithm: String, ExpressibleByArgument, CaseIterable {
    case ed25519
    case ecdsa
    case p256 = "ecdsa-p256"
    case p384 = "ecdsa-p384"
    case rsa

    var algorithm: PrivateKey.Algorithm {
        switch self {
        case .ed25519: .ed25519
        case .ecdsa, .p256: .p256
        case .p384: .p384
        case .rsa: .rsa(bits: 3072)
        }
    }
}

/// `NAME=VALUE`
struct RoleOption {
    let role: RoleName
    let value: String

    init(argument: String) throws {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
            throw ValidationError("write ROLE=VALUE, not \(argument)")
        }
        self.role = RoleName(String(argument[..<equals]))
        self.value = String(argument[argument.index(after: equals)...])
    }
}

/// A time as `90d`, `12h`, `30m` or `45s`.
struct TimeSpan {
    let seconds: Int64

    init(argument: String) throws {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400]
        guard let unit = argument.last.flatMap({ units[$0] }), let count = Int64(argument.dropLast()), count > 0,
            count <= RepositorySettings.maximumValidity / unit
        else { throw ValidationError("write a time as 90d, 12h, 30m or 45s, not \(argument)") }
        self.seconds = count * unit
    }
}

extension TrustOptions {
    /// The keys of the trust directory.
    func signingKeys() async throws -> StoredSigningKeys {
        StoredSigningKeys(try await self.settings.keyStore(), passphrases: self.passphrases)
    }

    /// A repository to change.
    func repository(_ directory: String) async throws -> StaticRepository {
        StaticRepository(directory: directory, keys: try await self.signingKeys())
    }

    /// A repository to read.
    func reader(of directory: String) throws -> StaticRepository {
        StaticRepository(directory: directory, keys: NoKeys())
    }

    private struct NoKeys: SigningKeySource {
        func signingKeys(among keys: [PublicKey], for role: RoleName) -> [any SigningKey] { [] }
    }
}

extension PublicKey {
    /// A key of somebody's, from a file: for TUF's format a public key, for Notary's a certificate as well.
    init(file path: String, for format: WireFormat = .tuf) async throws {
        let path = path.expandingTilde
        guard let bytes = try await BlockingWork.run({ try DurableFile.read(path, limit: PublicKeyFile.limit) }) else {
            throw CommandError(.failure, "there is no file \(path) with a public key")
        }
        do {
            self =
                try format == .tuf ? PublicKeyFile.key(bytes) : PublicKeyFile.listedKey(bytes, at: Date())
        } catch {
            throw CommandError(.failure, "\(path): \(error)")
        }
    }
}

/// What a verb that may publish says of it.
enum PublishReport {
    static func write(_ outcome: PublishOutcome, directory: String, to report: inout ChangeReport) throws {
        report.add(published: outcome.published)
        if outcome.hadGap {
            report.notice(
                "The keys before the rotation were not at hand: a reader that came while the files were written was refused once"
            )
        }
        guard !outcome.pending.isEmpty else {
            if outcome.published.isEmpty { report.say("Nothing to publish.") }
            return
        }
        let lines = outcome.pending.map { ceremony in
            let path = PendingFolder.path(of: ceremony.role, version: ceremony.metadata.version ?? 0)
            return "\(directory)/\(path): " + CeremonyReport(ceremony).missing
        }
        throw CommandError(
            .signature,
            "nothing is published yet, signatures are missing: \(lines.joined(separator: "; ")). Hand the file around for "
                + "hallmark sign, then publish again"
        )
    }
}
