// SPDX-License-Identifier: Apache-2.0

import OCI
import Testing

@Suite("A pattern of names")
struct NamePatternTests {
    @Test(
        "matches names as they are written",
        arguments: [
            ("team/*", "team/app", true), ("team/*", "team/app/x", false), ("team/**", "team/app/x", true),
            ("team/**", "team", false),
            ("**", "a/b", true), ("*", "a/b", false), ("*", "a", true), ("a*c*e", "abcde", true),
            ("a*c*e", "abcdf", false),
            ("**/app", "x/y/app", true), ("v*", "v1.2", true), ("v*", "1.2", false), ("a**b", "a/x/b", true),
        ]
    )
    func patterns(pattern: String, name: String, matches: Bool) throws {
        #expect(try NamePattern(pattern).matches(name) == matches)
    }

    @Test("does not take long for a pattern that means harm")
    func harm() throws {
        let pattern = try NamePattern(String(repeating: "*a", count: 15) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 255)))
    }

    @Test(
        "is refused when no name could match it, or when it is written in doubt",
        arguments: [
            "", "a b", "team:1", "a***b", String(repeating: "*a", count: 17), String(repeating: "a", count: 600),
        ]
    )
    func refused(pattern: String) {
        #expect(throws: OCIError.self) { try NamePattern(pattern) }
    }
}
