// SPDX-License-Identifier: Apache-2.0

import HTTPAccess

/// What went wrong on a connection to a trust server, in words that tell what to do.
enum TrustServerFailure {
    /// - Parameter host: the server's name and port.
    static func reason(_ error: any Error, host: some StringProtocol) -> String {
        let text = ConnectionFailure.reason(error)
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return
                "its certificate is not valid, or of no authority that is trusted here; put the certificate of its CA "
                + "into ~/.docker/tls/\(host)/ca.crt, or name it with --tlscacert"
        }
        if text.contains("failedToValidateHostname") { return "its certificate is not for \(host)" }
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
            return "no TLS is spoken there; name the trust server with --server or DOCKER_CONTENT_TRUST_SERVER"
        }
        return text
    }
}
