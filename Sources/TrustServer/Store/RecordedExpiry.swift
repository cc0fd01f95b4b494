// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
import TUF

/// Whose expiry it is. The raw values are stored.
enum ExpiryKind: Int64, Sendable, Hashable, CaseIterable {
    /// The certificates that the root's keys are: when fewer than its threshold are left in force.
    case rootCertificate = 1
    case root = 2
    case targets = 3
    case delegation = 4
    /// Of a publisher who holds the key, or of the server when it could not be renewed.
    case snapshot = 5
    /// Only when it could not be renewed.
    case timestamp = 6

    /// What metrics call it.
    var label: String {
        switch self {
        case .rootCertificate: "root_certificate"
        case .root: "root"
        case .targets: "targets"
        case .delegation: "delegation"
        case .snapshot: "snapshot"
        case .timestamp: "timestamp"
        }
    }
}

/// When something of a collection expires, noted so that whoever is to be warned can be found without looking at all.
struct RecordedExpiry: Sendable, Hashable {
    let kind: ExpiryKind
    let role: RoleName
    /// Seconds since 1970.
    let expiresAt: Int64
    /// When to warn of it next, in seconds since 1970; nil for never.
    var warnAt: Int64?
}

/// An expiry with its collection.
struct CollectionExpiry: Sendable, Hashable {
    let gun: String
    let expiry: RecordedExpiry
}

/// When the server is to look after a collection.
struct RenewalTime: Sendable, Hashable {
    /// Seconds since 1970.
    let renewAt: Int64
    /// When the first that the server can sign again expires, in seconds since 1970; nil when it can sign nothing.
    let expiresAt: Int64?
}
