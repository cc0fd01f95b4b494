// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

@testable import KeyStore

/// Tokens that SoftHSM keeps in files. Its library reads where they are once in a process, so all of them are made together.
enum SoftwareTokens {
    static let pin = "1234"
    private static let module = "/usr/lib/softhsm/libsofthsm2.so"

    /// The labels of the tokens; a test has one of its own, because who has logged in stays so for the process.
    enum Label: String, CaseIterable {
        case kinds, imports, certificates, wrongPIN, removal, approval, store
        case sharedID, replaced, mismatch, leftover, failure
    }

    /// Whether the tests can run. In CI they must.
    static var areThere: Bool {
        FileManager.default.fileExists(atPath: self.module) || ProcessInfo.processInfo.environment["CI"] == "true"
    }

    private static let directory: Result<URL, any Error> = Result {
        let directory = FileManager.default.temporaryDirectory.appending(path: "hallmark-tokens-\(UUID().uuidString)")
        let tokens = directory.appending(path: "tokens")
        try FileManager.default.createDirectory(at: tokens, withIntermediateDirectories: true)
        let configuration = directory.appending(path: "softhsm2.conf")
        try Data("directories.tokendir = \(tokens.path)\nobjectstore.backend = file\nlog.level = ERROR\n".utf8)
            .write(to: configuration)
        setenv("SOFTHSM2_CONF", configuration.path, 1)
        SoftwareTokens.path.store(directory.path)
        atexit { SoftwareTokens.path.remove() }
        for label in Label.allCases {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/softhsm2-util")
            process.arguments = [
                "--init-token", "--free", "--label", label.rawValue, "--pin", SoftwareTokens.pin, "--so-pin", "567890",
            ]
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
        }
        return directory
    }

    /// What is removed when the process ends.
    private static let path = RemovedPath()

    /// The variables that choose a token.
    static func environment(_ label: Label?) throws -> [String: String] {
        _ = try self.directory.get()
        var environment = [TokenSettings.moduleVariable: self.module]
        if let label { environment[TokenSettings.tokenVariable] = label.rawValue }
        return environment
    }

    /// - Parameter tries: those of another process, where wrong PINs before do not count.
    static func token(_ label: Label?, tries: PINTries = .process) throws -> HardwareToken {
        guard let settings = try TokenSettings(environment: self.environment(label)) else {
            throw CocoaError(.featureUnsupported)
        }
        return HardwareToken(settings, tries: tries)
    }
}

private final class RemovedPath: Sendable {
    private let path = Mutex("")

    func store(_ path: String) { self.path.withLock { $0 = path } }

    func remove() {
        let path = self.path.withLock { $0 }
        if !path.isEmpty { try? FileManager.default.removeItem(atPath: path) }
    }
}
