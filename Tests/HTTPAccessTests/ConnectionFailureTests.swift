// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Testing

@testable import HTTPAccess

struct ConnectionFailureTests {
    private struct Said: Error, CustomStringConvertible {
        let description: String
    }

    private func failure(_ text: String, advice: String? = nil) -> ConnectionFailure {
        ConnectionFailure(Said(description: text), server: "h:5000", certificates: "~/c", noTLSAdvice: advice)
    }

    @Test("A certificate that is not trusted says where the CA's goes, and is told from a port without TLS")
    func kinds() {
        let untrusted = self.failure("handshakeFailed(error 1: SSL routines:CERTIFICATE_VERIFY_FAILED at x.cc:1)")
        #expect(untrusted.kind == .certificateRefused)
        #expect(untrusted.description.contains("~/c/h:5000/ca.crt"))
        let misnamed = self.failure("NIOSSLExtraError.failedToValidateHostname: none of these matched")
        #expect(misnamed.kind == .certificateRefused)
        #expect(misnamed.description.contains("h:5000"))
        for text in ["SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "SSL routines:HTTP_REQUEST"] {
            #expect(self.failure(text).kind == .noTLS)
            #expect(self.failure(text, advice: "do this").description.hasSuffix("; do this"))
        }
    }

    @Test("Anything else is told as the system says it, short and without control characters")
    func other() {
        let refused = ConnectionFailure(
            IOError(errnoCode: ECONNREFUSED, reason: "connect"),
            server: "h",
            certificates: "c"
        )
        #expect(refused.kind == .other)
        #expect(refused.description == "Connection refused")
        let hostile = self.failure("\u{1B}[2J" + String(repeating: "x", count: 2_000))
        #expect(hostile.kind == .other)
        #expect(!hostile.description.contains("\u{1B}"))
        #expect(hostile.description.count <= 500)
    }
}
