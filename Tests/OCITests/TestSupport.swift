// SPDX-License-Identifier: Apache-2.0

import Foundation
import OCI

/// A directory of the test's own, removed with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        let base = FileManager.default.temporaryDirectory.path
        self.path = base + "/hallmark-oci-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }

    func file(_ name: String, _ bytes: some Collection<UInt8>) throws -> String {
        let path = self.path + "/" + name
        let directory = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    func names(_ directory: String = "") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: self.path + "/" + directory).sorted()
    }
}

/// Runs a program found on PATH and gives what it prints.
@discardableResult
func run(_ arguments: String..., in directory: String) throws -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CocoaError(.featureUnsupported) }
    return data
}

/// Makes tar archives byte by byte, so that they can be wrong.
struct TarBytes {
    private(set) var bytes: [UInt8] = []

    mutating func add(
        _ name: String,
        _ content: [UInt8] = [],
        type: Character = "0",
        link: String = "",
        size: [UInt8]? = nil,
        damagesChecksum: Bool = false
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: some Collection<UInt8>, _ offset: Int) {
            header.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        }
        put(name.utf8.prefix(100), 0)
        put("0000644".utf8, 100)
        put(size ?? Array(String(format: "%011o", content.count).utf8), 124)
        put(type.utf8, 156)
        put(link.utf8.prefix(100), 157)
        put(Array("ustar\u{0}00".utf8), 257)
        put([UInt8](repeating: 0x20, count: 8), 148)
        let sum = header.reduce(0) { $0 + Int($1) } + (damagesChecksum ? 1 : 0)
        put(Array(String(format: "%06o\u{0} ", sum).utf8), 148)
        self.bytes += header + content
        let excess = content.count % 512
        if excess > 0 { self.bytes += [UInt8](repeating: 0, count: 512 - excess) }
    }

    mutating func addPax(_ key: String, _ value: String) {
        let body = " \(key)=\(value)\n"
        var length = body.utf8.count + 1
        while String(length).utf8.count + body.utf8.count != length { length += 1 }
        self.add("pax", Array("\(length)\(body)".utf8), type: "x")
    }

    mutating func end() {
        self.bytes += [UInt8](repeating: 0, count: 1024)
    }
}

/// An image of which every byte is known.
struct SampleImage {
    static let plainLayers: [[UInt8]] = (0..<2).map { number in
        var tar = TarBytes()
        tar.add("file\(number)", (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7 &* (number + 3)) })
        tar.end()
        return tar.bytes
    }

    static var config: [UInt8] {
        let diffIDs = Self.plainLayers.map { #""\#(Digest(hashing: $0))""# }.joined(separator: ", ")
        return Array(
            #"{ "architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[\#(diffIDs)]}}"#
                .utf8
        )
    }

    /// What `docker save` wrote before version 25, with a link for a layer that is there twice.
    static func dockerArchive(layers: [[UInt8]] = Self.plainLayers, config: [UInt8] = Self.config) -> [UInt8] {
        var tar = TarBytes()
        let name = Digest(hashing: config).encoded + ".json"
        for (index, layer) in layers.enumerated() { tar.add("layer\(index)/layer.tar", layer) }
        tar.add("copy/layer.tar", type: "2", link: "../layer1/layer.tar")
        tar.add(name, config)
        let list = """
            [{"Config":"\(name)","RepoTags":["example.com/app:1","app:two"],"Layers":["layer0/layer.tar","copy/layer.tar"]}]
            """
        tar.add("manifest.json", Array(list.utf8))
        tar.end()
        return tar.bytes
    }
}
