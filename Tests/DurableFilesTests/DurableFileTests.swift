// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import Testing

struct DurableFileTests {
    private func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/hallmark-files-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(directory)
    }

    @Test("A file is replaced whole, with its mode, and leaves nothing beside it")
    func atomicFile() throws {
        try withTemporaryDirectory { directory throws in
            let path = directory + "/file"
            try DurableFile.replace(path, with: Array("first".utf8), permissions: 0o644)
            try DurableFile.replace(path, with: Array("second".utf8), permissions: 0o600)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "second")
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["file"])
            #expect(throws: FileSystemError.self) {
                try DurableFile.replace(directory + "/none/file", with: Array("x".utf8))
            }
        }
    }

    @Test("A file that is staged elsewhere leaves nothing there")
    func staging() throws {
        try self.withTemporaryDirectory { directory throws in
            try DurableFile.makeDirectory(directory + "/a/b")
            try DurableFile.replace(directory + "/a/b/file", with: [1, 2], staging: directory)
            #expect(try DurableFile.read(directory + "/a/b/file", limit: 2) == [1, 2])
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["a"])
        }
    }

    @Test("Creating keeps the file that is there")
    func create() throws {
        try self.withTemporaryDirectory { directory throws in
            let path = directory + "/file"
            #expect(try DurableFile.create(path, with: [1]))
            #expect(try !DurableFile.create(path, with: [2]))
            #expect(try DurableFile.read(path, limit: 10) == [1])
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["file"])
        }
    }

    @Test("Only regular files within the limit are read")
    func read() throws {
        try self.withTemporaryDirectory { directory throws in
            try DurableFile.replace(directory + "/file", with: [1, 2, 3])
            #expect(try DurableFile.read(directory + "/none", limit: 1) == nil)
            #expect(try DurableFile.read(directory + "/file/below", limit: 1) == nil)
            #expect(throws: FileSystemError.self) { try DurableFile.read(directory + "/file", limit: 2) }
            #expect(throws: FileSystemError.self) { try DurableFile.read(directory, limit: 2) }
            try #require(mkfifo(directory + "/pipe", 0o600) == 0)
            #expect(throws: FileSystemError.self) { try DurableFile.read(directory + "/pipe", limit: 2) }
        }
    }

    @Test("A directory is made with those above it, and a file in its place is an error")
    func directories() throws {
        try self.withTemporaryDirectory { directory throws in
            try DurableFile.makeDirectory(directory + "/a/b/c", permissions: 0o700)
            try DurableFile.makeDirectory(directory + "/a/b/c", permissions: 0o700)
            try DurableFile.replace(directory + "/file", with: [])
            #expect(throws: FileSystemError.self) { try DurableFile.makeDirectory(directory + "/file") }
            #expect(throws: FileSystemError.self) { try DurableFile.makeDirectory(directory + "/file/x") }
        }
    }
}
