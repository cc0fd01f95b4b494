// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import OCI

private let hostileArchives: [(String, @Sendable (inout TarBytes) -> Void)] = [
    ("absolute name", { $0.add("/etc/passwd", [1]) }),
    ("name that goes up", { $0.add("a/../../b", [1]) }),
    (
        "pax name that goes up",
        {
            $0.addPax("path", "../b")
            $0.add("x", [1])
        }
    ),
    (
        "two files of a name",
        {
            $0.add("a", [1])
            $0.add("./a", [2])
        }
    ),
    ("wrong checksum", { $0.add("a", [1], damagesChecksum: true) }),
    ("size beyond the file", { $0.add("a", [1], size: Array("00000100000".utf8)) }),
    ("huge binary size", { $0.add("a", [1], size: [0x80] + [UInt8](repeating: 0xFF, count: 11)) }),
    ("negative binary size", { $0.add("a", [1], size: [UInt8](repeating: 0xFF, count: 12)) }),
    ("size that is no number", { $0.add("a", [1], size: Array("0000000000z".utf8)) }),
    (
        "pax size beyond the file",
        {
            $0.addPax("size", "9223372036854775807")
            $0.add("a", [1])
        }
    ),
    (
        "pax size that is negative",
        {
            $0.addPax("size", "-1")
            $0.add("a", [1])
        }
    ),
    (
        "pax record with a wrong length",
        {
            $0.add("pax", Array("99 path=a\n".utf8), type: "x")
            $0.add("a")
        }
    ),
    (
        "pax record without a value",
        {
            $0.add("pax", Array("8 path_\n".utf8), type: "x")
            $0.add("a")
        }
    ),
    (
        "pax record of no length",
        {
            $0.add("pax", Array("5 a\n".utf8), type: "x")
            $0.add("a")
        }
    ),
    (
        "global pax path",
        {
            $0.add("pax", Array("10 path=a\n".utf8), type: "g")
            $0.add("b")
        }
    ),
    (
        "too long long name",
        {
            $0.add("L", [UInt8](repeating: 97, count: 2 << 20), type: "L")
            $0.add("a")
        }
    ),
    ("long name of nothing", { $0.add("L", Array("abc".utf8), type: "L") }),
    ("sparse file", { $0.add("a", [1], type: "S") }),
]

struct TarTests {
    private let directory: TemporaryDirectory

    init() throws {
        self.directory = try TemporaryDirectory()
    }

    private func open(_ tar: TarBytes) throws -> TarArchive {
        try TarArchive(path: self.directory.file("a.tar", tar.bytes))
    }

    @Test("Hostile archives get typed errors", arguments: hostileArchives.indices)
    func hostile(index: Int) throws {
        var tar = TarBytes()
        hostileArchives[index].1(&tar)
        tar.end()
        #expect(Comment(rawValue: hostileArchives[index].0)) { try self.open(tar) } throws: {
            ($0 as? OCIError)?.code == .archiveInvalid
        }
    }

    @Test("An archive cut at any block is refused or lacks what was cut")
    func truncated() throws {
        var tar = TarBytes()
        tar.addPax("path", String(repeating: "long/", count: 40) + "name")
        tar.add("x", [UInt8](repeating: 1, count: 700))
        tar.add("b", [2])
        for length in stride(from: 0, to: tar.bytes.count, by: 128) {
            let path = try self.directory.file("cut.tar", tar.bytes.prefix(length))
            let archive = try? TarArchive(path: path)
            let last = try archive?.content("b")
            #expect(try last == nil || last?.open().readAll(limit: 10) == [2])
            let long = try archive?.content(String(repeating: "long/", count: 40) + "name")
            #expect(long == nil || long?.length == 700)
        }
    }

    @Test(
        "Links are followed inside the archive only",
        arguments: [
            ("../layer", true), ("../../layer", false), ("/layer", false), ("nothing", true), ("self", false),
            ("", false),
        ]
    )
    func links(target: String, isSafe: Bool) throws {
        var tar = TarBytes()
        tar.add("layer", [1, 2, 3])
        tar.add("dir/self", type: "2", link: target)
        tar.add("hard", type: "1", link: "layer")
        tar.end()
        let archive = try self.open(tar)
        #expect(try archive.content("hard")?.length == 3)
        if isSafe {
            #expect(try archive.content("dir/self")?.length == (target == "../layer" ? 3 : nil))
        } else {
            #expect { try archive.content("dir/self") } throws: { ($0 as? OCIError)?.code == .archiveInvalid }
        }
    }

    @Test("Archives of the system's tar are read", arguments: ["gnu", "pax", "ustar", "oldgnu"])
    func systemTar(format: String) throws {
        let long =
            String(repeating: "d/", count: 60) + "é" + String(repeating: "f", count: format == "ustar" ? 20 : 120)
        _ = try self.directory.file("in/" + long, Array("content".utf8))
        _ = try self.directory.file("in/short", Array("more".utf8))
        try run("tar", "--format=\(format)", "-cf", "../out.tar", ".", in: self.directory.path + "/in")
        let archive = try TarArchive(path: self.directory.path + "/out.tar")
        #expect(try archive.content(long)?.open().readAll(limit: 100) == Array("content".utf8))
        #expect(try archive.content("short")?.open().readAll(limit: 100) == Array("more".utf8))
    }

    @Test("The system's tar reads what is written here, and the bytes are always the same")
    func written() throws {
        let long = String(repeating: "d/", count: 60) + String(repeating: "é", count: 100)
        func write(_ name: String) throws -> Data {
            let path = self.directory.path + "/" + name
            let tar = try TarWriter(creating: path)
            try tar.addDirectory("dir")
            try tar.add(long, Array("content".utf8))
            try tar.add("empty", [])
            try tar.finish()
            return try Data(contentsOf: URL(fileURLWithPath: path))
        }
        #expect(try write("a.tar") == write("b.tar"))
        let text = try run("tar", "-xOf", "a.tar", long, in: self.directory.path)
        #expect(Array(text) == Array("content".utf8))
        #expect(try TarArchive(path: self.directory.path + "/a.tar").names == ["dir", long, "empty"].sorted())
    }
}
