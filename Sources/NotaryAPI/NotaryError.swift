// SPDX-License-Identifier: Apache-2.0

package import TUF

/// The codes of the Notary server's error replies, with the status and the text that go with each.
package enum NotaryErrorCode: String, Sendable, Hashable, CaseIterable {
    case metadataNotFound = "METADATA_NOT_FOUND"
    case malformedUpload = "MALFORMED_UPLOAD"
    case noFilename = "NO_FILENAME"
    case invalidRole = "INVALID_ROLE"
    case malformedJSON = "MALFORMED_JSON"
    case invalidUpdate = "INVALID_UPDATE"
    case version = "VERSION"
    case updating = "UPDATING"
    case invalidGUN = "INVALID_GUN"
    case invalidParameters = "INVALID_PARAMETERS"
    case noStorage = "NO_STORAGE"
    case noCryptoService = "NO_CRYPTOSERVICE"
    case noKeyAlgorithm = "NO_KEYALGORITHM"
    case genericNotFound = "GENERIC_NOT_FOUND"
    case unknown = "UNKNOWN"
    case unauthorized = "UNAUTHORIZED"
    /// Ours: notary-server says 500 or 400 when its signer is down, and clients cannot tell that from a fault of theirs.
    case unavailable = "UNAVAILABLE"
    /// Ours: the client has asked too often. The name is that of the registry's code.
    case tooManyRequests = "TOOMANYREQUESTS"

    /// The HTTP status of the reply.
    package var status: Int {
        switch self {
        case .metadataNotFound, .genericNotFound: 404
        case .malformedUpload, .noFilename, .invalidRole, .malformedJSON, .invalidUpdate, .version, .invalidGUN,
            .invalidParameters:
            400
        case .unauthorized: 401
        case .updating, .noStorage, .noCryptoService, .noKeyAlgorithm, .unknown: 500
        case .unavailable: 503
        case .tooManyRequests: 429
        }
    }

    /// The text of the reply.
    package var message: String {
        switch self {
        case .metadataNotFound: "You have requested metadata that does not exist."
        case .malformedUpload: "The body of your request is malformed."
        case .noFilename: "No file/role name provided."
        case .invalidRole: "The role you are attempting to operate on is invalid."
        case .malformedJSON: "JSON sent by the client could not be parsed by the server"
        case .invalidUpdate: "Update sent by the client is invalid."
        case .version: "A newer version of metadata is already available."
        case .updating: "An error has occurred while updating the TUF repository."
        case .invalidGUN: "The server does not support actions on images of this name."
        case .invalidParameters: "The parameters provided are not valid."
        case .noStorage: "The server is misconfigured and has no storage."
        case .noCryptoService: "The server does not have a signing service configured."
        case .noKeyAlgorithm: "The server does not have a key algorithm configured."
        case .genericNotFound: "You have requested a resource that does not exist."
        case .unknown: "unknown error"
        case .unauthorized: "authentication required"
        case .unavailable: "The server cannot do this now; try again later."
        case .tooManyRequests: "too many requests"
        }
    }
}

/// Why an upload was refused: the detail of ``NotaryErrorCode/invalidUpdate``.
package struct InvalidUpdate: Sendable, Hashable {
    /// Which part of the upload is at fault; the names are those on the wire.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case validation = "ErrValidation"
        case hierarchy = "ErrBadHierarchy"
        case root = "ErrBadRoot"
        case targets = "ErrBadTargets"
        case snapshot = "ErrBadSnapshot"

        /// What Notary's client prints before the message.
        package var summary: String {
            switch self {
            case .validation: "An error occurred during validation"
            case .hierarchy: "Metadata hierarchy is incomplete"
            case .root: "The root metadata is invalid"
            case .targets: "The targets metadata is invalid"
            case .snapshot: "The snapshot metadata is invalid"
            }
        }
    }

    package let kind: Kind
    package let message: String
    /// The role that is missing; only of kind `hierarchy`.
    package let missing: String?

    package init(_ kind: Kind, _ message: String, missing: String? = nil) {
        self.kind = kind
        self.message = message
        self.missing = missing
    }
}

/// An error reply of the Notary server's API: what the server throws, and what the client reads.
package struct NotaryError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the reply says beyond its code.
    package enum Detail: Sendable, Hashable {
        /// No `detail` member.
        case none
        /// `{}`, which is all that Notary tells of most of its errors.
        case empty
        case text(String)
        case update(InvalidUpdate)
        /// Anything else.
        case json(JSONValue)
    }

    package let code: NotaryErrorCode
    package let detail: Detail

    package init(_ code: NotaryErrorCode, detail: Detail = .none) {
        self.code = code
        self.detail = detail
    }

    /// A refused upload.
    package init(_ kind: InvalidUpdate.Kind, _ message: String, missing: String? = nil) {
        self.init(.invalidUpdate, detail: .update(InvalidUpdate(kind, message, missing: missing)))
    }

    /// The code's text, and the detail where it tells more.
    package var description: String {
        switch self.detail {
        case .none, .empty: self.code.message
        case .text(let text): "\(self.code.message) \(text)"
        case .update(let update): "\(update.kind.summary): \(update.message)"
        case .json(let value): "\(self.code.message) \(String(decoding: CanonicalJSON.encode(value), as: UTF8.self))"
        }
    }
}
