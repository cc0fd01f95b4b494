// SPDX-License-Identifier: Apache-2.0

/// The end of content that is written into a Dockerfile: `RUN <<EOF`, lines, `EOF`.
struct HereDocument: Sendable, Hashable {
    let name: [UInt8]
    /// `<<-`: whether tabs before a line do not count.
    let dropsTabs: Bool

    /// Whether a line ends the content.
    func isEnd(_ line: [UInt8]) -> Bool {
        (self.dropsTabs ? line.drop { $0 == UInt8(ascii: "\t") } : line[...]).elementsEqual(self.name)
    }

    /// The contents that an instruction is followed by: `RUN`, `COPY` and `ADD` may have some.
    static func terminators(in instruction: [UInt8]) -> [HereDocument] {
        var words = DockerfileWords(instruction).words[...]
        if words.first.map({ $0.is("ONBUILD") }) == true { words = words.dropFirst() }
        guard let first = words.first, ["RUN", "COPY", "ADD"].contains(where: first.is) else { return [] }
        return Self.marks(in: instruction)
    }

    /// Finds the words that are `<<NAME`, `<<-NAME` or `<<"NAME"`, with a file descriptor's digits before or without. In doubt there is
    /// none: what follows is then read as instructions.
    private static func marks(in bytes: [UInt8]) -> [HereDocument] {
        DockerfileWords(bytes).words.compactMap { word in
            let raw = bytes[word.range]
            var rest = raw.drop(while: Dockerfile.isDigit)
            guard rest.starts(with: Array("<<".utf8)) else { return nil }
            rest = rest.dropFirst(2)
            let dropsTabs = rest.first == UInt8(ascii: "-")
            if dropsTabs { rest = rest.dropFirst() }
            let name = DockerfileWords(Array(rest)).words
            guard let only = name.first, name.count == 1, !only.bytes.isEmpty,
                !rest.contains(where: { Array("<$\\`".utf8).contains($0) })
            else { return nil }
            return HereDocument(name: only.bytes, dropsTabs: dropsTabs)
        }
    }
}
