// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Settings

struct DamagedFileTests {
    private static let own = """
        data: /var/lib/hallmark
        only: [server, signer]
        server:
          address: ":4443"
          gun-prefixes: ["example.com/team/", 'b''/']
        database: {url: "host=/s password='a b'", connections: 3}
        """
    private static let notary = """
        {"server": {"http_addr": ":4443", "tls_key_file": "./k", "tls_cert_file": "./c"},
        "trust_service": {"type": "remote", "hostname": "s", "port": "1", "key_algorithm": "ecdsa"},
        "storage": {"backend": "postgres", "db_url": "postgres://u:p@h/d"}, "caching": {"max_age": {"current_metadata": 1}},
        "auth": {"type": "token", "options": {"realm": "https://a/", "service": "s", "issuer": "i", "rootcertbundle": "r"}},
        "repositories": {"gun_prefixes": ["a/"]}, "logging": {"level": "info"}, "reporting": {"bugsnag": {}}}
        """

    @Test(
        "whatever is done to a file, it is read or refused with a line that it has",
        arguments: [Self.own, Self.notary],
        0..<8 as Range<UInt64>
    )
    func damage(text: String, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pieces = [
            "{", "}", "[", "]", "'", "\"", ":", ",", "-", "?", "\n", "\t", "#", "&a ", "*a", "null", "é", "\u{0}", "\\",
            "|", ">",
        ]
        let files = try TemporaryFiles()
        for _ in 0..<40 {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes.remove(at: index)
                case 1: bytes.insert(contentsOf: Array((pieces.randomElement(using: &random) ?? "").utf8), at: index)
                default: bytes[index] = UInt8.random(in: .min ... .max, using: &random)
                }
            }
            let path = files.directory + "/damaged"
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let lines = String(decoding: bytes, as: UTF8.self).split(
                omittingEmptySubsequences: false,
                whereSeparator: \.isNewline
            ).count
            for problem in SettingsLoader.serve([path]).examine().problems {
                #expect(!problem.message.isEmpty)
                if case .file(let file, let line, _) = problem.origin {
                    #expect(file == path)
                    #expect((1...lines + 1).contains(line), "\(problem)")
                }
            }
        }
    }
}

/// The same numbers for the same seed (SplitMix64).
private struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
