// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF
import Testing

@testable import KeyStore

@Suite("Passphrases")
struct PassphraseTests {
    private static let id = KeyID("01a3c24" + String(repeating: "0", count: 57))

    private static func unlock(_ role: RoleName = .targets, attempt: Int = 0) -> PassphraseRequest {
        PassphraseRequest(purpose: .unlock, keyID: self.id, role: role, attempt: attempt)
    }

    private static func create(_ role: RoleName = .targets) -> PassphraseRequest {
        PassphraseRequest(purpose: .create, keyID: self.id, role: role)
    }

    private static func code(_ body: () async throws -> Void) async -> KeyStoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? KeyStoreError)?.code
        }
    }

    @Test(
        "the variables of docker and notary serve the roles that they serve there",
        arguments: [
            ("root", "NOTARY_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"),
            ("targets", "NOTARY_TARGETS_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"),
            ("snapshot", "NOTARY_SNAPSHOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"),
            ("targets/releases", "NOTARY_DELEGATION_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"),
            ("jane", "NOTARY_DELEGATION_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"),
        ]
    )
    func environment(role: String, notary: String, docker: String) async throws {
        let request = Self.unlock(RoleName(role))
        #expect(try EnvironmentPassphrases([notary: "n"]).passphrase(for: request) == Passphrase("n"))
        #expect(try EnvironmentPassphrases([docker: "d"]).passphrase(for: request) == Passphrase("d"))
        #expect(try EnvironmentPassphrases([notary: "", "OTHER": "x"]).passphrase(for: request) == nil)
        // Each is tried, and then nobody else is asked.
        let both = EnvironmentPassphrases([notary: "n", docker: "d"])
        #expect(try both.passphrase(for: Self.unlock(RoleName(role), attempt: 1)) == Passphrase("d"))
        let terminal = ScriptedTerminal(["right"])
        let chain = PassphraseChain([both, PassphrasePrompt(terminal: terminal)])
        #expect(
            await Self.code { _ = try await chain.passphrase(for: Self.unlock(RoleName(role), attempt: 2)) }
                == .attemptsExceeded
        )
        #expect(terminal.shown.isEmpty)
    }

    @Test("a new passphrase is asked for twice, and again when it is too short or not repeated")
    func creation() async throws {
        let terminal = ScriptedTerminal(["short", "long enough", "long enoug", " long enough\r", "long enough"])
        let passphrase = try await PassphrasePrompt(terminal: terminal).passphrase(for: Self.create())
        #expect(passphrase == Passphrase("long enough"))
        let ask = "Enter passphrase for new targets key with ID 01a3c24: \n"
        let repeated = "Repeat passphrase for new targets key with ID 01a3c24: \n"
        #expect(
            terminal.shown == ask
                + "Passphrase is too short. Please use a password manager to generate and store a good random passphrase.\n"
                + ask + repeated + "Passphrases do not match. Please retry.\n" + ask + repeated
        )
    }

    @Test("after twelve attempts nobody is asked for a new one any more")
    func creationGivesUp() async throws {
        let terminal = ScriptedTerminal(Array(repeating: "short", count: 20))
        let error = await #expect(throws: KeyStoreError.self) {
            try await PassphrasePrompt(terminal: terminal).passphrase(for: Self.create())
        }
        #expect(error?.message == "maximum number of passphrase attempts exceeded")
        #expect(terminal.left == 8)
    }

    @Test("docker calls targets and snapshot a repository; a new root key comes with a warning")
    func wording() async throws {
        for (role, name) in [("targets", "repository"), ("snapshot", "repository"), ("root", "root"), ("jane", "jane")]
        {
            let terminal = ScriptedTerminal(["x"])
            let prompt = PassphrasePrompt(terminal: terminal, wording: .docker)
            _ = try await prompt.passphrase(for: Self.unlock(RoleName(role)))
            #expect(terminal.shown == "Enter passphrase for \(name) key with ID 01a3c24: \n")
        }
        let terminal = ScriptedTerminal(["long enough", "long enough"])
        _ = try await PassphrasePrompt(terminal: terminal).passphrase(for: Self.create(.root))
        #expect(terminal.shown.split(separator: "\n").count == 8)
    }

    @Test("a role from a file cannot steer the terminal")
    func hostileRole() async throws {
        let terminal = ScriptedTerminal(["x"])
        let role = RoleName("ja\u{1B}[2Jne\u{202E}\r")
        _ = try await PassphrasePrompt(terminal: terminal).passphrase(for: Self.unlock(role))
        #expect(terminal.shown == "Enter passphrase for ja[2Jne key with ID 01a3c24: \n")
    }

    @Test("without a terminal, or at the end of input, it says so and what to do")
    func noTerminal() async throws {
        let prompt = PassphrasePrompt(terminal: ScriptedTerminal(["x"], isInteractive: false))
        #expect(try await prompt.passphrase(for: Self.unlock()) == nil)
        #expect(Self.unlock().unavailable.message.contains("NOTARY_TARGETS_PASSPHRASE"))
        let ended = PassphrasePrompt(terminal: ScriptedTerminal([]))
        #expect(await Self.code { _ = try await ended.passphrase(for: Self.unlock()) } == .passphraseUnavailable)
    }

    @Test("a passphrase is asked for once for a role, and again when another key refuses it")
    func caching() async throws {
        let terminal = ScriptedTerminal(["first", "second", "third"])
        let source = CachingPassphrases(PassphrasePrompt(terminal: terminal))
        #expect(try await source.passphrase(for: Self.unlock()) == Passphrase("first"))
        #expect(try await source.passphrase(for: Self.unlock()) == Passphrase("first"))
        let other = PassphraseRequest(purpose: .unlock, keyID: KeyID("another"), role: .root)
        #expect(try await source.passphrase(for: other) == Passphrase("second"))
        #expect(try await source.passphrase(for: Self.unlock(attempt: 1)) == Passphrase("third"))
        // The attempt that failed was not the person's.
        #expect(!terminal.shown.contains("incorrect"))
        #expect(try await source.passphrase(for: Self.unlock()) == Passphrase("third"))
    }

    @Test("a file gives its first line, trimmed")
    func file() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.appending(path: "passphrase").path
            let source = PassphraseFile(path: path)
            #expect(await Self.code { _ = try await source.passphrase(for: Self.unlock()) } == .passphraseUnavailable)
            try Data(" from a file \r\nsecond line\n".utf8).write(to: URL(fileURLWithPath: path))
            #expect(try await source.passphrase(for: Self.unlock()) == Passphrase("from a file"))
            #expect(
                await Self.code { _ = try await source.passphrase(for: Self.unlock(attempt: 1)) } == .attemptsExceeded
            )
            try Data("short\n".utf8).write(to: URL(fileURLWithPath: path))
            #expect(try await source.passphrase(for: Self.unlock()) == Passphrase("short"))
            #expect(await Self.code { _ = try await source.passphrase(for: Self.create()) } == .weakPassphrase)
            try Data("\n".utf8).write(to: URL(fileURLWithPath: path))
            #expect(await Self.code { _ = try await source.passphrase(for: Self.unlock()) } == .passphraseUnavailable)
        }
    }

    @Test(
        "what has passphrases has no PIN, and the terminal is asked",
        arguments: 0..<2
    )
    func pins(attempt: Int) async throws {
        let variables = ["NOTARY_ROOT_PASSPHRASE": "n", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": "d"]
        let others: [any PassphraseSource] = [
            PassphraseDescriptor(-1), PassphraseFile(path: "/nonexistent"),
            PassphraseCommand(["/bin/echo", "1111"], environment: [:]), EnvironmentPassphrases(variables),
        ]
        let request = PassphraseRequest(
            purpose: .pin(token: "mine"),
            keyID: Self.id,
            role: .root,
            attempt: attempt
        )
        #expect(try await PassphraseChain(others).passphrase(for: request) == nil)
        let chain = PassphraseChain(others + [PassphrasePrompt(terminal: ScriptedTerminal(["1234"]))])
        #expect(try await CachingPassphrases(chain).passphrase(for: request) == Passphrase("1234"))
        #expect(request.unavailable.message.contains("HALLMARK_PKCS11_PIN"))
    }

    @Test("a command learns what is wanted and prints it")
    func command() async throws {
        func command(_ script: String, timeout: Double = 60) -> PassphraseCommand {
            PassphraseCommand(["/bin/sh", "-c", script], environment: ["PATH": "/usr/bin:/bin"], timeout: timeout)
        }
        let echo = command("echo \"$HALLMARK_KEY_PURPOSE $HALLMARK_KEY_ROLE $HALLMARK_KEY_ID\"; echo more")
        #expect(try await echo.passphrase(for: Self.unlock()) == Passphrase("unlock targets \(Self.id)"))
        for failing in [
            command("exit 3"), command("true"), command("kill -9 $$"), command("exec sleep 1000", timeout: 0.05),
            command("exec sleep 1000 >&-", timeout: 0.05), PassphraseCommand(["/nonexistent"], environment: [:]),
        ] {
            #expect(await Self.code { _ = try await failing.passphrase(for: Self.unlock()) } == .passphraseUnavailable)
        }
    }
}
