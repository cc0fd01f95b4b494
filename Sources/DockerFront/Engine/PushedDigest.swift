// SPDX-License-Identifier: Apache-2.0

import OCI
import Synchronization

/// Reads from what `docker push` prints what it has pushed: `1.0: digest: sha256:… size: 528`.
final class PushedDigest: OutputFilter {
    /// What a tag names after a push.
    struct Manifest: Sendable, Hashable {
        let digest: Digest
        /// In bytes.
        let size: Int64
    }

    private struct State {
        var line: [UInt8] = []
        var found: [Manifest] = []
        var seen: [UInt8] = []
    }

    private static let maximumLine = 4096
    private static let maximumSeen = 1 << 20

    private let tag: Tag
    private let isQuiet: Bool
    private let state = Mutex(State())

    /// - Parameters:
    ///   - tag: the tag that is pushed.
    ///   - isQuiet: whether nothing is shown.
    init(of tag: Tag, isQuiet: Bool) {
        self.tag = tag
        self.isQuiet = isQuiet
    }

    /// What was pushed; nil when docker did not say so, or said several things.
    var manifest: Manifest? {
        self.state.withLock { state in
            guard Set(state.found).count == 1 else { return nil }
            return state.found.first
        }
    }

    /// The end of what was not shown.
    var unseen: [UInt8] { self.state.withLock(\.seen) }

    func pass(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        self.state.withLock { state in
            for byte in bytes {
                if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                    self.read(&state)
                } else if state.line.count < Self.maximumLine {
                    state.line.append(byte)
                }
            }
            guard self.isQuiet else { return Array(bytes) }
            if state.seen.count < Self.maximumSeen { state.seen += bytes }
            return []
        }
    }

    func finish() -> [UInt8] {
        self.state.withLock { state in
            self.read(&state)
            return []
        }
    }

    private func read(_ state: inout State) {
        defer { state.line = [] }
        let text = String(decoding: state.line, as: UTF8.self)
        let words = Self.withoutEscapes(text).split(separator: " ")
        guard words.count == 5, words[0] == "\(self.tag):", words[1] == "digest:", words[3] == "size:",
            let digest = try? Digest(words[2]), let size = Int64(words[4]), size > 0
        else { return }
        state.found.append(Manifest(digest: digest, size: size))
    }

    /// The text without what moves a terminal's cursor.
    private static func withoutEscapes(_ text: String) -> String {
        var result = ""
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "\u{1B}" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            guard rest.first == "[" else { continue }
            rest.removeFirst()
            while let next = rest.popFirst(), !("@"..."~").contains(next) {}
        }
        return result
    }
}
