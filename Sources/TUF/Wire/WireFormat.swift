// SPDX-License-Identifier: Apache-2.0

/// How metadata is spelled: one model has several byte forms.
public enum WireFormat: Sendable, Hashable {
    /// Notary v1 and Docker Content Trust.
    case notary

    /// The most bytes that a peer may make a client read where no signed length bounds it: for the root.
    public static let rootLimit = 4 << 20
    /// The most bytes of a timestamp.
    public static let timestampLimit = 1 << 20
    /// The most bytes of any metadata, whatever a signed length says.
    public static let metadataLimit = 256 << 20
    /// The most signatures on one metadata.
    public static let signatureLimit = 1024
    /// The most delegated roles that one search or update visits.
    public static let delegationLimit = 4096
    /// The most roots that one update follows.
    public static let rotationLimit = 1024
}
