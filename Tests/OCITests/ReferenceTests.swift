// SPDX-License-Identifier: Apache-2.0

import OCI
import Testing

private let hash = String(repeating: "0123456789abcdef", count: 4)

private let repositoryNameCases: [(String, Bool)] = [
    ("a", true), ("library/alpine", true), ("a/b/c/d", true), ("a.b_c__d-e--f/0", true), ("a/blobs/x", true),
    ("x/tags/list", true), (String(repeating: "a", count: 255), true),
    ("", false), ("A", false), ("a/", false), ("/a", false), ("a//b", false), ("a..b", false), ("a___b", false),
    ("a._b", false), ("a_-b", false), ("-a", false), ("a-", false), ("_a", false), ("a/_b", false),
    (".", false),
    ("..", false), ("a/../b", false), ("a b", false), ("a:b", false), ("é", false), ("a\u{0}", false),
    ("a%2fb", false), (String(repeating: "a", count: 256), false),
]

private let tagCases: [(String, Bool)] = [
    ("latest", true), ("_x", true), ("1.2.3-RC_1", true), (String(repeating: "a", count: 128), true),
    ("", false), (".a", false), ("-a", false), ("a/b", false), ("a:b", false), ("a b", false), ("é", false),
    ("..", false), (String(repeating: "a", count: 129), false),
]

private let digestCases: [(String, Bool)] = [
    ("sha256:" + hash, true), ("sha512:" + hash + hash, true),
    ("sha256:" + hash.uppercased(), false), ("sha256:" + hash.dropLast(), false),
    ("sha256:" + hash + "0", false),
    ("sha512:" + hash, false), ("md5:d41d8cd98f00b204e9800998ecf8427e", false), (hash, false), ("", false),
    ("sha256:", false), ("sha256:baddigeststring", false), ("sha256:../" + hash.dropFirst(3), false),
    ("sha256:" + hash.dropLast(2) + "é", false), ("SHA256:" + hash, false),
]

private let imageReferenceCases: [(String, String, String?)] = [
    ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
    ("alpine:3", "docker.io/library/alpine:3", "alpine:3"),
    ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
    ("index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
    ("user/app", "docker.io/user/app:latest", "user/app:latest"),
    ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
    ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
    ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
    ("localhost:5000/a/b:t@sha256:" + hash, "localhost:5000/a/b:t@sha256:" + hash, nil),
    ("example.com/a@sha256:" + hash, "example.com/a@sha256:" + hash, nil),
    ("[::1]:5000/a:t", "[::1]:5000/a:t", "[::1]:5000/a:t"),
    ("[fe80::1]/a", "[fe80::1]/a:latest", nil),
    ("Host/a", "Host/a:latest", nil),
    ("EXAMPLE.com:443/a.b/c", "EXAMPLE.com:443/a.b/c:latest", nil),
]

private let refusedReferenceCases: [String] = [
    "", " ", "Alpine", "alpine:", "alpine@", "alpine:a:b", "alpine@sha256:short", "a/B", "docker.io/",
    "example.com:0/a", "example.com:65536/a", "example.com:/a", "example.com:+80/a", "example.com:8x/a",
    "exa mple.com/a", "-a.com/a", "a-.com/a", "a..com/a", ".com/a", "[::1/a", "[zz]/a", "[]/a", "[::1]x/a",
    "user@example.com/a", "http://example.com/a", "example.com//a", "a/../b", "../a", "example.com/a?x", "a#b",
    hash, "exämple.com/a", "example.com/" + String(repeating: "a", count: 244),
    "a@sha256:" + hash + "@sha256:" + hash,
]

private let platformCases: [(String, String, Int?)] = [
    ("linux/arm64/v8", "linux/arm64", 0), ("linux/aarch64", "linux/arm64/v8", 0),
    ("linux/x86_64", "linux/amd64", 0),
    ("linux/arm", "linux/arm/v7", 0), ("linux/arm/v6", "linux/arm/v7", 1),
    ("linux/arm/v7", "linux/arm/v6", nil),
    ("linux/amd64", "linux/amd64/v3", 2), ("linux/amd64/v3", "linux/amd64", nil),
    ("windows/amd64", "linux/amd64", nil),
    ("linux/386", "linux/amd64", nil),
]

struct ReferenceTests {
    @Test(
        "Repository names follow the grammar of the distribution specification",
        arguments: repositoryNameCases
    )
    func repositoryNames(text: String, isValid: Bool) {
        #expect((try? RepositoryName(text))?.description == (isValid ? text : nil))
    }

    @Test(
        "Tags follow the grammar of the distribution specification",
        arguments: tagCases
    )
    func tags(text: String, isValid: Bool) {
        #expect((try? Tag(text))?.description == (isValid ? text : nil))
    }

    @Test(
        "Digests are lower-case hexadecimal of the algorithm's length",
        arguments: digestCases
    )
    func digests(text: String, isValid: Bool) {
        #expect((try? Digest(text))?.description == (isValid ? text : nil))
    }

    @Test("Content hashes to its digest, in one piece or in many")
    func hashing() throws {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(Digest(hashing: []).description == empty)
        #expect(
            Digest(hashing: Array("{}".utf8)).description
                == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        )
        for algorithm in Digest.Algorithm.allCases {
            var hasher = Digest.Hasher(algorithm)
            Array("{".utf8).withUnsafeBytes { hasher.update(bufferPointer: $0) }
            let early = hasher
            Array("}".utf8).withUnsafeBytes { hasher.update(bufferPointer: $0) }
            #expect(hasher.finalize() == Digest(hashing: Array("{}".utf8), algorithm: algorithm))
            #expect(early.finalize() == Digest(hashing: Array("{".utf8), algorithm: algorithm))
        }
    }

    @Test(
        "Image references are completed as Docker completes them",
        arguments: imageReferenceCases
    )
    func imageReferences(text: String, whole: String, familiar: String?) throws {
        let reference = try ImageReference(text)
        #expect(reference.description == whole)
        #expect(try ImageReference(whole) == reference)
        #expect(try ImageReference(reference.familiarDescription) == reference)
        #expect(reference.familiarDescription == familiar ?? reference.familiarDescription)
    }

    @Test(
        "References that could mislead are refused",
        arguments: refusedReferenceCases
    )
    func refusedReferences(text: String) {
        #expect(throws: OCIError.self) { try ImageReference(text) }
    }

    @Test("The GUN is registry and name, and a digest is asked for before a tag")
    func parts() throws {
        let reference = try ImageReference("alpine:3@sha256:" + hash)
        #expect(reference.gun == "docker.io/library/alpine")
        #expect(try reference.reference == .digest(Digest("sha256:" + hash)))
        #expect(try reference.with(tag: Tag("4")).description == "docker.io/library/alpine:4")
        #expect(try Reference("3") == .tag(Tag("3")))
        #expect(throws: OCIError.self) { try Reference("sha256:x") }
    }

    @Test(
        "Platforms match after normalisation",
        arguments: platformCases
    )
    func platforms(image: String, machine: String, suitability: Int?) throws {
        let (image, machine) = try (Platform(image), Platform(machine))
        #expect(image.suitability(for: machine) == suitability)
        #expect(image.matches(machine) == (suitability == 0))
    }

    @Test(
        "Platforms that are none are refused",
        arguments: ["", "linux", "linux/", "/", "a/b/c/d", "linux/a b", "linux/é"]
    )
    func refusedPlatforms(text: String) {
        #expect(throws: OCIError.self) { try Platform(text) }
    }
}
