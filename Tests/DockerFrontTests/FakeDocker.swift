// SPDX-License-Identifier: Apache-2.0

import OCI
import Synchronization

@testable import DockerFront

/// A docker that notes what it is told.
final class FakeDocker: DockerEngine {
    let calls = Mutex<[[String]]>([])
    let inputs = Mutex<[[UInt8]]>([])
    /// The images that it has.
    let present: Set<String>
    /// What it prints.
    let printed: String
    let status: Int32
    let help: String

    init(present: Set<String> = [], printed: String = "", status: Int32 = 0, help: String = "") {
        self.present = present
        self.printed = printed
        self.status = status
        self.help = help
    }

    func run(_ arguments: [String], output: DockerOutput, input: [UInt8]?) async throws -> Int32 {
        self.calls.withLock { $0.append(arguments) }
        if let input, !input.isEmpty { self.inputs.withLock { $0.append(input) } }
        if case .filtered(let filter) = output {
            _ = filter.pass(Array(self.printed.utf8)[...])
            _ = filter.finish()
        }
        return self.status
    }

    func capture(_ arguments: [String]) async throws -> (status: Int32, output: String) {
        if arguments.last == "--help" { return (0, self.help) }
        return (self.present.contains(arguments.last ?? "") ? 0 : 1, "")
    }
}

/// Signed tags, and what was signed besides.
final class FakeTrust: ImageTrust {
    static let digest = "sha256:" + String(repeating: "a", count: 64)

    let signed: [String: String]
    let added = Mutex<[String]>([])

    init(_ signed: [String: String]) {
        self.signed = signed
    }

    func digest(of reference: ImageReference) async throws -> Digest {
        guard let digest = self.signed[reference.familiarDescription] else {
            throw DockerFrontError(.untrusted, "No valid trust data for \(reference.tag?.description ?? "")")
        }
        return try Digest(digest)
    }

    func tags(of repository: ImageReference) async throws -> [SignedTag] {
        try self.signed.sorted { $0.key < $1.key }.compactMap { name, digest in
            let reference = try ImageReference(name)
            guard reference.gun == repository.gun, let tag = reference.tag else { return nil }
            return SignedTag(tag: tag, digest: try Digest(digest))
        }
    }

    func sign(_ reference: ImageReference, digest: Digest, size: Int64) async throws -> Bool {
        self.added.withLock { $0.append("\(reference.familiarDescription) \(digest) \(size)") }
        return true
    }
}

/// What was written, line for line.
final class Transcript: Sendable {
    private let text = Mutex((output: "", error: ""))

    var console: Console {
        Console(
            output: { line in self.text.withLock { $0.output += line } },
            error: { line in self.text.withLock { $0.error += line } }
        )
    }

    var output: String { self.text.withLock(\.output) }
    var error: String { self.text.withLock(\.error) }
}
