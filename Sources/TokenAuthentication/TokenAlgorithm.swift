// SPDX-License-Identifier: Apache-2.0

/// How a token is signed (RFC 7518, section 3.1; RFC 8037). There is neither `none` nor a shared secret: who can verify
/// must not be able to sign.
package enum TokenAlgorithm: String, Sendable, Hashable, CaseIterable {
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case edDSA = "EdDSA"
}
