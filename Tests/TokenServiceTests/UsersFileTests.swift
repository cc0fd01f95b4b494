// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import Testing

@testable import TokenService

@Suite("The file of users")
struct UsersFileTests {
    private static let alice = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
    private static let bob = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"

    @Test("users stand beside comments, empty lines, line ends of Windows and further fields")
    func reading() {
        let file = UsersFile(
            parsing: "# who\n\nalice:\(Self.alice)\r\n  \nbob:\(Self.bob):Bob:bob@example.com\n#carol:x"
        )
        #expect(file.hashes.mapValues(\.text) == ["alice": Self.alice, "bob": Self.bob])
        #expect(file.problems.isEmpty)
    }

    @Test("a wrong line is told with its number, and gives nobody access")
    func problems() {
        let file = UsersFile(
            parsing: """
                alice:\(Self.alice)
                bob:$apr1$abc$def
                no colon here
                :\(Self.bob)
                alice:\(Self.bob)
                d d:\(Self.bob)
                bob:\(Self.bob)
                """
        )
        #expect(file.hashes.mapValues(\.text) == ["alice": Self.alice])
        #expect(file.problems.map(\.line) == [2, 3, 4, 5, 6, 7])
        #expect(file.problems.map(\.error.code) == [.hash, .line, .name, .line, .name, .line])
        #expect(file.problems.last?.description.contains("line 2 already") == true)
    }

    @Test("editing changes one line and keeps the others, comments too")
    func editing() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/users"
        try "# ours\nalice:\(Self.alice)\nold:{SHA}abc\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(chmod(path, 0o640) == 0)
        let editor = UsersFileEditor(path: path)
        try editor.add("bob", BcryptHash(Self.bob))
        try editor.replace("alice", BcryptHash(Self.bob))
        try editor.replace("old", BcryptHash(Self.alice))
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text == "# ours\nalice:\(Self.bob)\nold:\(Self.alice)\nbob:\(Self.bob)\n")
        #expect(DurableFile.mode(of: path)?.permissions == 0o640)
        try editor.remove("alice")
        #expect(try editor.read().hashes.keys.sorted() == ["bob", "old"])
        #expect(try String(contentsOfFile: path, encoding: .utf8).hasPrefix("# ours\nold:"))
    }

    @Test("a new file is its owner's alone; what is not there is not changed")
    func newFile() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/users"
        let editor = UsersFileEditor(path: path)
        #expect(throws: UsersFileError(.file, "")) { try editor.read() }
        #expect(throws: UsersFileError(.file, "")) { try editor.remove("alice") }
        #expect(throws: UsersFileError(.name, "")) { try editor.add("a:b", BcryptHash(Self.alice)) }
        try editor.add("alice", BcryptHash(Self.alice))
        #expect(DurableFile.mode(of: path)?.permissions == 0o600)
        #expect(throws: UsersFileError(.exists, "")) { try editor.add("alice", BcryptHash(Self.bob)) }
        #expect(throws: UsersFileError(.missing, "")) { try editor.replace("bob", BcryptHash(Self.bob)) }
        #expect(throws: UsersFileError(.missing, "")) { try editor.remove("bob") }
    }

    @Test("a link to the file stays a link")
    func link() throws {
        let directory = try TemporaryDirectory()
        let (path, link) = (directory.path + "/users", directory.path + "/link")
        try UsersFileEditor(path: path).add("alice", BcryptHash(Self.alice))
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        try UsersFileEditor(path: link).add("bob", BcryptHash(Self.bob))
        #expect(try UsersFileEditor(path: path).read().hashes.count == 2)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == path)
    }

    @Test("of many who add users at once none is lost")
    func racing() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/users"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                group.addTask {
                    try await BlockingWork.run {
                        try UsersFileEditor(path: path).add("user\(number)", BcryptHash(Self.alice))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try UsersFileEditor(path: path).read().hashes.count == 16)
    }
}
