// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TUF

@Suite struct HashesTests {
    private let digest = (0..<32).map { UInt8($0 * 8 + 3) }

    @Test("hashes are equal however they came to be, and give back what they were made of")
    func equality() {
        let alone = Hashes(sha256: self.digest)
        let listed = Hashes(["sha256": self.digest])
        #expect(alone == listed)
        #expect(alone.hashValue == listed.hashValue)
        #expect(alone.sha256 == self.digest)
        #expect(alone.sha512 == nil)
        #expect(alone.digests == ["sha256": self.digest])

        var edited = Hashes(["sha256": self.digest, "sha512": self.digest + self.digest])
        #expect(edited != alone)
        #expect(edited.sha512 == self.digest + self.digest)
        edited.digests["sha512"] = nil
        #expect(edited == alone)
        edited.digests["md5"] = [1]
        #expect(edited != alone)
        #expect(edited.digests.keys == ["md5", "sha256"])
    }

    @Test("a SHA-256 of the wrong length stays what it is", arguments: [0, 31, 33])
    func wrongLength(count: Int) {
        let digest = [UInt8](repeating: 7, count: count)
        #expect(Hashes(sha256: digest).sha256 == digest)
        #expect(Hashes(sha256: digest) != Hashes(sha256: [UInt8](repeating: 7, count: 32)))
    }

    @Test("a SHA-256 is read from 64 lower-case digits that are all there")
    func hexadecimal() {
        let text = Hexadecimal.encode(self.digest)
        func read(_ text: String, at start: Int = 0) -> [UInt8]? {
            SHA256Value(hexadecimalAt: start, in: Array(text.utf8).span.bytes)?.bytes
        }
        #expect(read(text) == self.digest)
        #expect(read("\"\(text)\"", at: 1) == self.digest)
        #expect(read(String(text.dropLast())) == nil)
        #expect(read(text, at: 1) == nil)
        for index in text.indices {
            for wrong in ["g", "G", "A", "`", "/", ":", "\u{80}"] as [Character] {
                var other = text
                other.replaceSubrange(index...index, with: String(wrong))
                #expect(read(other) == nil)
            }
        }
    }
}
