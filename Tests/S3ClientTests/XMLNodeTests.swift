// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import S3Client

struct XMLNodeTests {
    private func parse(_ text: String) throws -> XMLNode { try XMLNode(parsing: Array(text.utf8)) }

    @Test("a reply is read whatever its spaces, prefixes, attributes, comments and escapes")
    func reply() throws {
        let node = try self.parse(
            """
              \n<?xml version="1.0" encoding="UTF-8"?>
            <!-- list --><s3:List xmlns:s3='http://a/b'><Key>a&amp;b &#x41;&#66;<![CDATA[<c>]]></Key>
              <Empty/><s3:Key attribute="&gt;">ü</s3:Key></s3:List>
            """
        )
        #expect(node.name == "List")
        #expect(node.all("Key").map(\.text) == ["a&b AB<c>", "ü"])
        #expect(node["Empty"]?.text == "")
        #expect(node["None"] == nil)
    }

    @Test(
        "what is no such document is refused",
        arguments: [
            "", "   ", "text", "<a>", "<a></b>", "<a", "<a b></a>", "<a b=c></a>", "<a b='<'></a>", "<a></a><b/>",
            "<a>&unknown;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&amp</a>", "<a>&#-5;</a>", "<?xml", "<!-- a",
            "<a><![CDATA[</a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a>\u{0}</a", "<></>", "< a></a>",
            "&lt;a/>",
        ]
    )
    func malformed(_ text: String) {
        #expect(throws: XMLNode.Malformed.self) { try self.parse(text) }
    }

    @Test("depth and number of elements are bounded")
    func bounds() {
        let deep = String(repeating: "<a>", count: 100_000)
        #expect(throws: XMLNode.Malformed.self) { try self.parse(deep) }
        let many = "<a>" + String(repeating: "<b/>", count: 60_000) + "</a>"
        #expect(throws: XMLNode.Malformed.self) { try self.parse(many) }
    }

    @Test("bytes that are not UTF-8 are refused")
    func encoding() {
        #expect(throws: XMLNode.Malformed.self) {
            try XMLNode(parsing: Array("<a>".utf8) + [0xFF] + Array("</a>".utf8))
        }
    }
}
