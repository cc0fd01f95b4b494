// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF

@testable import KeyStore

/// A key file that Go's notary 0.7 wrote, and what is in it.
enum NotaryKeyFile {
    static let id = KeyID("588de984e96476ef78e5c8a1c72312f5d8f9826997ef8b49a44a34832d908d54")
    static let passphrase = "targpass1"
    static let pem = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        gun: example.com/wire/one
        role: targets

        MIHuMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAinXwNme8asSAICCAAw
        HQYJYIZIAWUDBAEqBBDCDkaMsXosqH8z27zfk7dZBIGgVyRslKpA3vG0v/8IXsba
        D3iYZqUcrv/EnNopLVzfdnJJ1fGmKRhfg5U7dAim4evQZTYxzAUwv3qi1FrCPulO
        69zQsN+aQXUOZCN1AsfxCR0RBjilLn15xf5Ruc63yypE0uj3ZgsHtyU+nPuT1nU2
        TnCvvXjFIQ+y0aOFh6dP4tHYxvXT53obZkh1sWc8TZupdZm1nBnnMZSFdc565gHm
        Dg==
        -----END ENCRYPTED PRIVATE KEY-----

        """
    static let privateKeyInfo = """
        308193020101301306072a8648ce3d020106082a8648ce3d0301070479307702010104208bb38bee0017807ff426f381b85318fd48b55b65\
        f42d67027fc4dd52df49d106a00a06082a8648ce3d030107a1440342000464d0ac020a74c45c79ad73e98dce3a78dec0618ae9c9a7d21041\
        4d7de39d81e656372623c7a21cd7218d001b8d943d78f5184a11df0231ea9edc6e2c47b5e66d
        """
}

/// Makes a fresh directory, and removes it whatever happens.
func withTemporaryDirectory<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appending(path: "hallmark-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try await body(directory)
}

/// Runs the openssl command and returns what it prints.
@discardableResult
func openssl(_ arguments: String..., input: String = "") throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    let (standardInput, output, errors) = (Pipe(), Pipe(), Pipe())
    process.standardInput = standardInput
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    try standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try standardInput.fileHandleForWriting.close()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        let message = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        throw OpenSSLFailure(message: "openssl \(arguments): \(message)")
    }
    return text
}

struct OpenSSLFailure: Error {
    let message: String
}

/// Whether the tests that need openssl can run.
let hasOpenSSL = FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")
