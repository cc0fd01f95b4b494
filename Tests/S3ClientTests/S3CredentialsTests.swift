// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import S3Client

struct S3CredentialsTests {
    @Test("neither description nor dump shows the secret")
    func secrecy() {
        let credentials = S3Credentials(accessKey: "name", secretKey: "hidden", sessionToken: "lent")
        var dumped = ""
        dump(credentials, to: &dumped)
        for text in [
            "\(credentials)", String(reflecting: credentials), dumped, "\(S3CredentialSource.fixed(credentials))",
        ] {
            #expect(text.contains("name"))
            #expect(!text.contains("hidden") && !text.contains("lent"))
        }
    }

    @Test(
        "a profile of a credentials file is found, or the lines that are of none",
        arguments: [
            ("aws_access_key_id=A\naws_secret_access_key = B\n", "default", "A", nil),
            (
                "# c\n[default]\naws_access_key_id=A\naws_secret_access_key=B=C\n[other]\naws_access_key_id=D\n",
                "default", "A", nil
            ),
            (
                "[default]\r\naws_access_key_id=A\r\n[profile o]\r\naws_access_key_id=D\r\naws_secret_access_key=E\r\n"
                    + "aws_session_token=F\r\n", "o", "D", "F"
            ),
        ] as [(String, String, String, String?)]
    )
    func file(_ text: String, _ profile: String, _ accessKey: String, _ token: String?) throws {
        let credentials = try #require(S3Credentials(parsing: text, profile: profile))
        #expect(credentials.accessKey == accessKey)
        #expect(credentials.sessionToken == token)
    }

    @Test(
        "half of the credentials are none",
        arguments: ["", "[other]\naws_access_key_id=A", "aws_access_key_id=A\naws_secret_access_key="]
    )
    func incomplete(_ text: String) {
        #expect(S3Credentials(parsing: text, profile: "default") == nil)
    }

    @Test("a file that changes is read again, at once when its credentials are refused")
    func change() async throws {
        let path = NSTemporaryDirectory() + "s3-credentials-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = S3CredentialStore(.file(path: path, profile: "default"))
        await #expect { try await store.current() } throws: { ($0 as? S3Error)?.code == .configuration }
        try Data("aws_access_key_id=A\naws_secret_access_key=B".utf8).write(to: URL(filePath: path))
        #expect(try await store.current().accessKey == "A")
        try Data("aws_access_key_id=AA\naws_secret_access_key=BB".utf8).write(to: URL(filePath: path))
        #expect(try await store.current(isRejected: true).accessKey == "AA")
    }
}
