// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Database
import Foundation
import KeyStore
import OCI
import RegistryClient
import TUF
import TrustClient

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
        }
    }

    init(_ error: any Error) {
        self =
            switch error {
            case let error as CommandError: error.code
            case let error as TrustClientError: ExitStatus(rawValue: error.code.exitCode) ?? .failure
            case let error as TUFError: ExitStatus(rawValue: TrustClientError(error).code.exitCode) ?? .failure
            case let error as RegistryError: Self(error.code)
            case let error as OCIError: error.code == .digestMismatch ? .contentMismatch : .failure
            default: .failure
            }
    }

    private init(_ code: RegistryError.Code) {
        self =
            switch code {
            case .digestMismatch: .contentMismatch
            case .unreachable: .unreachable
            case .unauthorized, .denied: .unauthorised
            case .notFound, .rejected, .invalidResponse, .credentials: .failure
            }
    }
}
