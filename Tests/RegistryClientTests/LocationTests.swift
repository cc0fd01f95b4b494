// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import Testing

@testable import RegistryClient

private let locationCases: [(String, String?)] = [
    ("/v2/x?a=b", "https://r.example/v2/x?a=b"), ("https://R.example:443/y", "https://r.example/y"),
    ("//other/z", "https://other/z"), ("?d=1", "https://r.example/v2/a/b?d=1"), ("c", "https://r.example/v2/a/c"),
    ("http://h?q#f", "http://h/?q"), ("ftp://x/", nil), ("file:///etc/passwd", nil), ("https://u:p@h/", nil),
    ("https:///x", nil), ("", nil), ("/a b", nil),
]

struct LocationTests {
    @Test(
        "Locations are resolved against the URL they came from",
        arguments: locationCases
    )
    func locations(location: String, expected: String?) throws {
        let base = try #require(HTTPURL("https://r.example/v2/a/b?c=d"))
        #expect((try? base.resolving(location))?.description == expected)
    }

    @Test("Content that went by TLS is never sent on without it")
    func keepsTLS() throws {
        let secure = try #require(HTTPURL("https://r.example/v2/a"))
        let plain = try #require(HTTPURL("http://r.example/v2/a"))
        #expect(try secure.resolving("https://other/z", keepsTLS: true).description == "https://other/z")
        #expect(try secure.resolving("/z", keepsTLS: true).description == "https://r.example/z")
        #expect(try plain.resolving("http://other/z", keepsTLS: true).description == "http://other/z")
        #expect(throws: RegistryError.self) { try secure.resolving("http://r.example/z", keepsTLS: true) }
        #expect(throws: RegistryError.self) { try secure.resolving("http://other/z", keepsTLS: true) }
    }
}
