// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import OCI
import Testing

@testable import Registry

struct RegistryPathTests {
    static let hex = String(repeating: "a1", count: 32)
    static let id = "01234567-89ab-cdef-0123-456789abcdef"

    @Test(
        "a path is read from its end, whatever words the name ends in",
        arguments: [
            ("/v2", "base"), ("/v2/", "base"), ("/v2/_catalog", "catalog"),
            ("/v2/a/tags/list", "tags a"), ("/v2/tags/list/tags/list", "tags tags/list"),
            ("/v2/a/manifests/tags/list", "tags a/manifests"),
            ("/v2/a/tags/manifests/list", "manifest a/tags list"),
            ("/v2/a/manifests/b/manifests/c", "manifest a/manifests/b c"),
            ("/v2/a/blobs/uploads/manifests/v1", "manifest a/blobs/uploads v1"),
            ("/v2/manifests/manifests/manifests", "manifest manifests manifests"),
            ("/v2/a/blobs/uploads", "uploads a"), ("/v2/a/blobs/uploads/", "uploads a"),
            ("/v2/a/blobs/uploads/blobs/uploads/", "uploads a/blobs/uploads"),
            ("/v2/a/blobs/uploads/\(id)", "upload a \(id)"),
            ("/v2/a/blobs/uploads/blobs/uploads/\(id)", "upload a/blobs/uploads \(id)"),
            ("/v2/a/b/blobs/sha256:\(hex)", "blob a/b sha256:\(hex)"),
            ("/v2/a/b/blobs/sha256%3A\(hex)", "blob a/b sha256:\(hex)"),
            ("/v2/a/blobs/x/blobs/sha256:\(hex)", "blob a/blobs/x sha256:\(hex)"),
            ("/v2/a/manifests/sha512:\(hex)\(hex)", "manifest a sha512:\(hex)\(hex)"),
            ("/v2/a/referrers/sha256:\(hex)", "referrers a sha256:\(hex)"),
        ]
    )
    func reads(_ path: String, _ expected: String) throws {
        #expect(try Self.describe(RegistryPath(path)) == expected)
    }

    @Test(
        "a path that names nothing is refused with the code of what is wrong",
        arguments: [
            ("", "UNSUPPORTED"), ("/", "UNSUPPORTED"), ("/v1/", "UNSUPPORTED"), ("/v2/x", "UNSUPPORTED"),
            ("/v2//", "UNSUPPORTED"), ("/v2/a/b", "UNSUPPORTED"), ("v2/", "UNSUPPORTED"),
            ("/v2/a/_ext/thing", "UNSUPPORTED"), ("/v2/a/tags/", "UNSUPPORTED"), ("/v2/tags/list", "UNSUPPORTED"),
            ("/v2//tags/list", "NAME_INVALID"), ("/v2/../tags/list", "NAME_INVALID"),
            ("/v2/a/../../etc/tags/list", "NAME_INVALID"), ("/v2/a/%2e%2e/b/tags/list", "NAME_INVALID"),
            ("/v2/a%2Fb/tags/list", "NAME_INVALID"), ("/v2/a%2fb/manifests/latest", "NAME_INVALID"),
            ("/v2/a//b/tags/list", "NAME_INVALID"), ("/v2/A/tags/list", "NAME_INVALID"),
            ("/v2/-a/tags/list", "NAME_INVALID"), ("/v2/a%00b/tags/list", "NAME_INVALID"),
            ("/v2/a%zz/tags/list", "NAME_INVALID"), ("/v2/a%/tags/list", "NAME_INVALID"),
            ("/v2/%ff/tags/list", "NAME_INVALID"), ("/v2/ü/tags/list", "NAME_INVALID"),
            ("/v2/" + String(repeating: "a", count: 5000) + "/tags/list", "NAME_INVALID"),
            ("/v2/" + String(repeating: "a", count: 256) + "/tags/list", "NAME_INVALID"),
            ("/v2/" + String(repeating: "a/", count: 128) + "a/tags/list", "NAME_INVALID"),
            ("/v2/a/blobs/sha256:abc", "DIGEST_INVALID"), ("/v2/a/blobs/md5:\(hex)", "DIGEST_INVALID"),
            ("/v2/a/blobs/sha256:\(hex.uppercased())", "DIGEST_INVALID"), ("/v2/a/blobs/", "DIGEST_INVALID"),
            ("/v2/a/manifests/sha256:baddigeststring", "DIGEST_INVALID"),
            ("/v2/a/manifests/sha384:\(hex)", "DIGEST_INVALID"), ("/v2/a/referrers/x", "DIGEST_INVALID"),
            ("/v2/a/manifests/", "TAG_INVALID"), ("/v2/a/manifests/.x", "TAG_INVALID"),
            ("/v2/a/manifests/a%2Fb", "TAG_INVALID"),
            ("/v2/a/manifests/" + String(repeating: "t", count: 129), "TAG_INVALID"),
            ("/v2/a/blobs/uploads/..", "BLOB_UPLOAD_UNKNOWN"), ("/v2/a/blobs/uploads/%2e%2e", "BLOB_UPLOAD_UNKNOWN"),
            ("/v2/a/blobs/uploads/\(id)x", "BLOB_UPLOAD_UNKNOWN"),
            ("/v2/a/blobs/uploads/..%2f..%2f..%2fetc%2fpasswd", "BLOB_UPLOAD_UNKNOWN"),
        ]
    )
    func refuses(_ path: String, _ code: String) throws {
        let error = #expect(throws: RegistryError.self) { try RegistryPath(path) }
        #expect(error?.code.rawValue == code)
        #expect([400, 404].contains(error?.status.code))
    }

    private static func describe(_ path: RegistryPath) -> String {
        switch path {
        case .base: "base"
        case .catalog: "catalog"
        case .tags(let name): "tags \(name)"
        case .blob(let name, let digest): "blob \(name) \(digest)"
        case .manifest(let name, let reference): "manifest \(name) \(reference)"
        case .uploads(let name): "uploads \(name)"
        case .upload(let name, let id): "upload \(name) \(id)"
        case .referrers(let name, let digest): "referrers \(name) \(digest)"
        }
    }
}

struct ByteRangeTests {
    @Test(
        "a Range asks for a part, the whole, or nothing that is there",
        arguments: [
            (nil, ByteRange.Request.whole), ("bytes=0-0", .part(0..<1)), ("bytes=2-5", .part(2..<6)),
            ("bytes=5-", .part(5..<10)), ("bytes=-3", .part(7..<10)), ("bytes=-30", .part(0..<10)),
            ("bytes=0-99", .part(0..<10)), ("Bytes=1-2", .part(1..<3)), ("items=0-1", .whole),
            ("bytes=0-1,4-5", .parts([0..<2, 4..<6])), ("bytes=8-, 0-1,,-1", .parts([8..<10, 0..<2, 9..<10])),
            ("bytes=10-", .unsatisfiable), ("bytes=500-0", .unsatisfiable),
            ("bytes=-0", .unsatisfiable), ("bytes=-", .unsatisfiable), ("bytes=a-b", .unsatisfiable),
            ("bytes=1", .unsatisfiable), ("bytes=+1-2", .unsatisfiable),
            ("bytes=0-9223372036854775807", .part(0..<10)), ("bytes=99999999999999999999-", .unsatisfiable),
            ("bytes=-99999999999999999999", .unsatisfiable), ("bytes=0-5,0-5", .whole),
            ("bytes=8-9,\t0-1,,4-4", .parts([8..<10, 0..<2, 4..<5])), ("bytes=20-,1-2,x", .part(1..<3)),
            ("bytes=20-21,30-", .unsatisfiable), ("bytes=,", .unsatisfiable),
            ("bytes=0-9223372036854775806,0-9223372036854775806", .whole),
        ] as [(String?, ByteRange.Request)]
    )
    func range(_ field: String?, _ expected: ByteRange.Request) {
        #expect(ByteRange.request(field, size: 10) == expected)
    }

    @Test("a thousand parts can be asked for, many thousands are not worth it")
    func manyParts() {
        func field(_ count: Int) -> String {
            "bytes=" + (0..<count).map { "\($0 * 2)-\($0 * 2)" }.joined(separator: ",")
        }
        var expected: [Range<Int64>] = []
        for number in Int64(0)..<1_000 { expected.append(number * 2..<number * 2 + 1) }
        #expect(ByteRange.request(field(1_000), size: 1 << 20) == .parts(expected))
        #expect(ByteRange.request(field(5_000), size: 1 << 20) == .whole)
    }

    @Test("an empty blob has no part")
    func empty() {
        #expect(ByteRange.request("bytes=0-0", size: 0) == .unsatisfiable)
        #expect(ByteRange.request("bytes=-1", size: 0) == .unsatisfiable)
    }

    @Test(
        "a chunk's Content-Range is first-last",
        arguments: [
            ("0-9", 0...9), ("bytes 5-5/10", 5...5), ("bytes=1-2", 1...2), ("9-0", nil), ("-1-5", nil), ("a-b", nil),
            ("0", nil), ("", nil), ("0-9223372036854775807", nil), ("1-99999999999999999999", nil),
        ] as [(String, ClosedRange<Int64>?)]
    )
    func chunk(_ field: String, _ expected: ClosedRange<Int64>?) {
        #expect(ByteRange.chunk(field) == expected)
    }
}
