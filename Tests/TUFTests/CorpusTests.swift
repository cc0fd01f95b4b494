// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import TUF

struct CorpusTests {
    /// What the fuzzer has found worth keeping (`scripts/fuzz`).
    private static func corpus() throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Corpus")
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
            (name, [UInt8](try Data(contentsOf: folder.appendingPathComponent(name))))
        }
    }

    @Test("the decoders hold to their properties on all that the fuzzer has found")
    func replay() throws {
        let corpus = try Self.corpus()
        #expect(corpus.count > 5)
        for (name, bytes) in corpus {
            #expect(DecoderProperties.violation(of: bytes) == nil, "\(name)")
        }
    }

    @Test("some of it is read in each format, and some is not")
    func variety() throws {
        let corpus = try Self.corpus()
        for format in [WireFormat.notary, .tuf] {
            let read = corpus.count { _, bytes in
                guard let envelope = try? MetadataEnvelope(bytes, format: format) else { return false }
                return (try? Targets(envelope.signed, format: format)).map { !$0.targets.isEmpty } ?? false
            }
            #expect(read > 0)
            #expect(read < corpus.count)
        }
    }
}
