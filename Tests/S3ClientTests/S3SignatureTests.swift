// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import NIOHTTP1
import Testing

@testable import S3Client

private let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct SignatureExample: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var method = HTTPMethod.GET
    var path = "/"
    var query: [(name: String, value: String)] = []
    var headers = HTTPHeaders()
    var payload: String = emptyHash
    let names: String
    let expected: String

    static let examples: [SignatureExample] = [
        SignatureExample(
            testDescription: "GET object",
            path: "/test.txt",
            headers: ["Range": "bytes=0-9"],
            names: "host;range;x-amz-content-sha256;x-amz-date",
            expected: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
        SignatureExample(
            testDescription: "PUT object",
            method: .PUT,
            path: "/test%24file.text",
            headers: ["Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"],
            payload: SHA256.hash(data: Array("Welcome to Amazon S3.".utf8)).hexadecimal,
            names: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            expected: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        ),
        SignatureExample(
            testDescription: "GET bucket lifecycle",
            query: [("lifecycle", "")],
            names: "host;x-amz-content-sha256;x-amz-date",
            expected: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        ),
        SignatureExample(
            testDescription: "list objects",
            query: [("prefix", "J"), ("max-keys", "2")],
            names: "host;x-amz-content-sha256;x-amz-date",
            expected: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        ),
    ]
}

/// Amazon's own examples of Signature Version 4 for S3.
struct S3SignatureTests {
    private let signature = S3Signature(
        credentials: S3Credentials(
            accessKey: "AKIAIOSFODNN7EXAMPLE",
            secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        ),
        region: "us-east-1",
        time: Date(timeIntervalSince1970: 1_369_353_600)
    )

    @Test("requests are signed as in Amazon's examples", arguments: SignatureExample.examples)
    func examples(_ example: SignatureExample) throws {
        var headers = example.headers
        headers.add(name: "Host", value: "examplebucket.s3.amazonaws.com")
        let signed = self.signature.sign(
            method: example.method,
            path: example.path,
            query: example.query,
            headers: headers,
            payload: example.payload
        )
        #expect(
            signed["Authorization"] == [
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                    + "SignedHeaders=\(example.names), Signature=\(example.expected)"
            ]
        )
        #expect(signed["x-amz-date"] == ["20130524T000000Z"])
    }

    @Test("a URL is pre-signed as in Amazon's example")
    func presigned() {
        let query = self.signature.presignedQuery(
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            expiresIn: 86400
        )
        #expect(
            query == "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                + "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        )
    }

    @Test("a session token is signed and sent")
    func sessionToken() {
        let signature = S3Signature(
            credentials: S3Credentials(accessKey: "a", secretKey: "b", sessionToken: "lent"),
            region: "r",
            time: Date(timeIntervalSince1970: 0)
        )
        let headers = signature.sign(method: .GET, path: "/", query: [], headers: ["Host": "h"], payload: emptyHash)
        #expect(headers["x-amz-security-token"] == ["lent"])
        #expect(headers.first(name: "Authorization")?.contains("x-amz-security-token") == true)
        #expect(signature.presignedQuery(host: "h", path: "/", expiresIn: 1).contains("X-Amz-Security-Token=lent"))
    }
}
