// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Ceremony
import ContentTrust
import Database
import Foundation
import KeyStore
import OCI
import RegistryClient
import Settings
import TUF
import TUFRepository
import TrustClient
import Updater

/// How the command ends: an interface that scripts rely on.
enum ExitStatus: Int32, Sendable {
    case failure = 1
    case usage = 2
    case noTrustData = 10
    case notSigned = 11
    case signature = 12
    case expired = 13
    case rollback = 14
    case contentMismatch = 15
    case unreachable = 20
    case unauthorised = 21
    case interrupted = 130

    /// Its name in JSON.
    var name: String {
        switch self {
        case .failure: "failure"
        case .usage: "usage"
        case .noTrustData: "noTrustData"
        case .notSigned: "notSigned"
        case .signature: "signature"
        case .expired: "expired"
        case .rollback: "rollback"
        case .contentMismatch: "contentMismatch"
        case .unreachable: "unreachable"
        case .unauthorised: "unauthorised"
        case .interrupted: "interrupted"
        }
    }

    /// What to do about it, where the status alone tells.
    var advice: String? {
        switch self {
        case .noTrustData:
            "Has it been signed, and on this trust server? --server or DOCKER_CONTENT_TRUST_SERVER names another."
        case .notSigned:
            "hallmark list GUN shows what is signed, hallmark inspect REGISTRY/NAME the tags of an image."
        case .expired:
            "If this machine's clock is right, the publisher has to publish again (hallmark rescue), or somebody holds newer "
                + "metadata back."
        case .rollback:
            "This is how an attack looks. If the server was put back from a backup, its publisher has to publish again."
        case .contentMismatch:
            "The registry, or who is between, does not serve what was signed; nothing of it was kept."
        case .unauthorised:
            "docker login REGISTRY keeps credentials that hallmark takes too."
        case .unreachable:
            "--server or DOCKER_CONTENT_TRUST_SERVER names a trust server, HTTPS_PROXY a proxy on the way to servers."
        case .signature:
            "hallmark status GUN shows which keys are trusted here: ask the publisher, by another way, whether they are still theirs."
        case .failure, .usage, .interrupted:
            nil
        }
    }

    init(_ error: any Error) {
        self =
            switch error {
            case let error as CommandError: error.code
            case is ScrubFailure: .contentMismatch
            case let error as SettingsFailure: error.error.isUsage ? .usage : .failure
            case let error as TrustClientError: ExitStatus(rawValue: error.code.exitCode) ?? .failure
            case let error as TUFError: ExitStatus(rawValue: TrustClientError(error).code.exitCode) ?? .failure
            case let error as RegistryError: Self(error.code)
            case let error as RepositoryError: Self(error.code)
            case let error as CeremonyError: Self(error.code)
            case let error as UpdaterError: ExitStatus(rawValue: error.code.exitCode) ?? .failure
            case let error as ContentTrustError: Self(error.code)
            case let error as OCIError: error.code == .digestMismatch ? .contentMismatch : .failure
            default: .failure
            }
    }

    private init(_ code: RepositoryError.Code) {
        self =
            switch code {
            case .noRepository: .noTrustData
            case .notSigned: .notSigned
            case .incomplete: .signature
            case .exists, .invalid, .malformed, .notFound, .storage: .failure
            }
    }

    private init(_ code: CeremonyError.Code) {
        self =
            switch code {
            case .foreignKey, .wrongSignature, .alreadySigned, .otherContent: .signature
            case .invalid, .malformed, .notFound: .failure
            }
    }

    private init(_ code: ContentTrustError.Code) {
        self =
            switch code {
            case .reference, .signer: .usage
            case .tagMoved: .contentMismatch
            case .engineUnreachable: .unreachable
            default: .failure
            }
    }

    private init(_ code: RegistryError.Code) {
        self =
            switch code {
            case .digestMismatch: .contentMismatch
            case .unreachable, .tooSlow: .unreachable
            case .unauthorized, .denied: .unauthorised
            case .notFound, .rejected, .invalidResponse, .credentials: .failure
            }
    }
}
