// SPDX-License-Identifier: Apache-2.0

import OCI
import Testing

private let digest = "sha256:" + String(repeating: "a", count: 64)
private let config =
    #""config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"\#(digest)","size":2}"#
private let layer =
    #"{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"\#(digest)","size":3,"extra":{"Digest":1}}"#
private let foreign =
    #"{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"\#(digest)","size":3,"urls":["https://x"]}"#

private func child(_ platform: String, _ type: MediaType = .imageManifest) -> String {
    #"{"mediaType":"\#(type)","digest":"\#(digest)","size":4,"platform":\#(platform)}"#
}

private func parse(_ json: String, _ type: MediaType?) throws -> Manifest {
    try Manifest(parsing: Array(json.utf8), mediaType: type)
}

private let refusedManifestCases: [(String, MediaType?)] = [
    ("{}", .imageManifest),
    ("", nil), ("[]", nil), ("null", nil), ("{", nil), (#"{"a":1} x"#, nil), (#"{"a":01}"#, nil),
    (#"{"a":"\x"}"#, nil),
    (#"{"a":"\ud800"}"#, nil), (#"{"a":tru}"#, nil), ("{\"a\":\"\u{1}\"}", nil), (#"{"a":"#, nil),
    (#"{"a":"b\"#, nil),
    (#"{"schemaVersion":2}"#, nil),
    (#"{"schemaVersion":1,"fsLayers":[]}"#, nil),
    (#"{"schemaVersion":3,\#(config),"layers":[]}"#, .imageManifest),
    (#"{"schemaVersion":"2",\#(config),"layers":[]}"#, .imageManifest),
    (#"{"schemaVersion":2,"layers":[]}"#, .imageManifest),
    (#"{"schemaVersion":2,\#(config)}"#, .imageManifest),
    (#"{"schemaVersion":2,\#(config),"layers":[],"manifests":[]}"#, .imageManifest),
    (#"{"schemaVersion":2,\#(config),"layers":[],"manifests":[]}"#, .imageIndex),
    (#"{"schemaVersion":2,"layers":[],"manifests":[]}"#, nil),
    (#"{"schemaVersion":2,\#(config),"layers":[]}"#, .imageIndex),
    (#"{"schemaVersion":2,\#(config),"layers":[]}"#, .dockerManifest),
    (#"{"schemaVersion":2,\#(config),"layers":[]}"#, .dockerSignedSchema1),
    (#"{"schemaVersion":2,\#(config),"layers":[]}"#, MediaType(rawValue: "text/plain")),
    (#"{"schemaVersion":2,"mediaType":"\#(MediaType.imageIndex)",\#(config),"layers":[]}"#, .imageManifest),
    (#"{"schemaVersion":2,"mediaType":"text/plain",\#(config),"layers":[]}"#, nil),
    (#"{"schemaVersion":2,"schemaVersion":2,\#(config),"layers":[]}"#, .imageManifest),
    (#"{"schemaVersion":2,\#(config),"layers":[],"l\u0061yers":[]}"#, .imageManifest),
    (#"{"schemaVersion":2,\#(config),"layers":[],"Layers":[\#(layer)]}"#, .imageManifest),
    ("{\"schemaVersion\":2,\(config),\"layers\":[],\"layer\u{17F}\":[\(layer)]}", .imageManifest),
    (
        #"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"\#(digest)","size":1,"Digest":"y"}]}"#,
        .imageIndex
    ),
    (#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"\#(digest)","size":-1}]}"#, .imageIndex),
    (#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"\#(digest)","size":1e99}]}"#, .imageIndex),
    (#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:x","size":1}]}"#, .imageIndex),
    (#"{"schemaVersion":2,"manifests":[{"mediaType":"x","size":1}]}"#, .imageIndex),
    (#"{"schemaVersion":2,"manifests":[\#(child("{}", .dockerSignedSchema1))]}"#, .imageIndex),
]

struct ManifestTests {
    @Test("An OCI image manifest is read with all that it refers to")
    func image() throws {
        let json = """
            {"schemaVersion":2,\(config),"layers":[\(layer),\(foreign)],"artifactType":"a/b","annotations":{"Config":"x"},
            "subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"\(digest)","size":9}}
            """
        let manifest = try parse(json, .imageManifest)
        #expect(manifest.kind == .image)
        #expect(manifest.config?.size == 2)
        #expect(manifest.layers.count == 2)
        #expect(manifest.blobs.count == 2)
        #expect(manifest.foreignLayers.map(\.urls) == [["https://x"]])
        #expect(manifest.subject?.size == 9)
        #expect(manifest.referrerArtifactType == "a/b")
        #expect(manifest.annotations == ["Config": "x"])
        #expect(try parse(json, nil) == manifest)
    }

    @Test("Without an artifact type of its own, an image is listed by its configuration's type, an index by none")
    func referrerTypes() throws {
        let image = try parse(#"{"schemaVersion":2,\#(config),"layers":null}"#, .imageManifest)
        #expect(image.referrerArtifactType == "application/vnd.oci.image.config.v1+json")
        #expect(try parse(#"{"schemaVersion":2,"manifests":[]}"#, .imageIndex).referrerArtifactType == nil)
    }

    @Test("An index gives the entry that suits a machine best")
    func index() throws {
        let arm7 = child(#"{"os":"linux","architecture":"arm","variant":"v7"}"#)
        let amd64 = child(#"{"os":"linux","architecture":"amd64","os.version":"1"}"#)
        let list = #"{"schemaVersion":2,"manifests":[\#(arm7),\#(amd64),\#(child("{}"))]}"#
        let manifest = try parse(list, .imageIndex)
        #expect(manifest.isIndex)
        #expect(manifest.manifests.count == 3)
        #expect(try manifest.entry(for: Platform("linux/amd64"))?.platform?.osVersion == "1")
        #expect(try manifest.entry(for: Platform("linux/arm/v8"))?.platform?.variant == "v7")
        #expect(try manifest.entry(for: Platform("linux/s390x")) == nil)
    }

    @Test("Docker's kinds and the withdrawn artifact manifest are read")
    func otherKinds() throws {
        let docker = #"{"schemaVersion":2,"mediaType":"\#(MediaType.dockerManifest)",\#(config),"layers":[\#(layer)]}"#
        #expect(try parse(docker, .dockerManifest).kind == .dockerImage)
        let list = #"{"schemaVersion":2,"mediaType":"\#(MediaType.dockerManifestList)","manifests":[]}"#
        #expect(try parse(list, nil).kind == .dockerList)
        let artifact = #"{"mediaType":"\#(MediaType.artifactManifest)","artifactType":"x/y","blobs":[\#(layer)]}"#
        #expect(try parse(artifact, .artifactManifest).blobs.count == 1)
    }

    @Test("Embedded data must be the content it is embedded for")
    func embeddedData() throws {
        func json(_ data: String) -> String {
            let hash = Digest(hashing: Array("{}".utf8))
            return
                #"{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"\#(hash)","size":2,"data":"\#(data)"},"layers":[]}"#
        }
        #expect(try parse(json("e30="), .imageManifest).config?.data == Array("{}".utf8))
        #expect(throws: OCIError.self) { try parse(json("e3w="), .imageManifest) }
        #expect(throws: OCIError.self) { try parse(json("!"), .imageManifest) }
    }

    @Test(
        "What is ambiguous, broken or unsupported is refused",
        arguments: refusedManifestCases
    )
    func refusals(json: String, type: MediaType?) {
        #expect(throws: OCIError.self) { try parse(json, type) }
    }

    @Test("Deep nesting, bad UTF-8, too many descriptors and too many bytes get typed errors")
    func bounds() {
        for open in ["[", #"{"a":"#] {
            let deep = #"{"x":"# + String(repeating: open, count: 200_000)
            #expect(throws: OCIError.self) { try parse(deep, .imageManifest) }
        }
        #expect(throws: OCIError.self) {
            try Manifest(parsing: Array(#"{"a":""#.utf8) + [0xFF] + Array(#""}"#.utf8), mediaType: .imageManifest)
        }
        let entry = #"{"mediaType":"x","digest":"\#(digest)","size":1}"#
        let many = Array(repeating: entry, count: Manifest.maximumDescriptors + 1).joined(separator: ",")
        #expect(throws: OCIError.self) { try parse(#"{"schemaVersion":2,"manifests":[\#(many)]}"#, .imageIndex) }
        let large = [UInt8](repeating: 0x20, count: Manifest.maximumSize + 1)
        #expect(throws: OCIError.self) { try Manifest(parsing: large, mediaType: .imageManifest) }
    }

    @Test("A content type's parameters, space and case do not matter")
    func contentTypes() {
        #expect(MediaType(contentType: " Application/vnd.OCI.image.index.v1+json ; charset=utf-8") == .imageIndex)
        #expect(MediaType(contentType: "").rawValue.isEmpty)
        #expect(MediaType(contentType: " ; x").rawValue.isEmpty)
    }
}
