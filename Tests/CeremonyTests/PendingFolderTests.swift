// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import Synchronization
import TUF
import Testing

@Suite("The folder of what waits")
struct PendingFolderTests {
    /// A directory that is gone when the test is.
    private final class Directory {
        let path = NSTemporaryDirectory() + "/hallmark-ceremony-\(UUID().uuidString)"
        var folder: PendingFolder { PendingFolder(PrivateFiles(self.path), format: .notary) }
        var names: [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: self.path + "/pending")) ?? []).sorted()
        }
        deinit { try? FileManager.default.removeItem(atPath: self.path) }
    }

    private static func targets(version: Int64) throws -> PendingMetadata {
        try PendingMetadata(
            Targets(version: version, expires: Expiry(Date(timeIntervalSince1970: 2_000_000_000))),
            format: .notary
        )
    }

    @Test("What is written is read again, under names that are files everywhere, and dropped whole")
    func roundTrip() throws {
        let directory = Directory()
        let folder = directory.folder
        #expect(try folder.names() == [] && folder.changes() == [] && folder.metadata().isEmpty)
        let releases = RoleName("targets/releases")
        let waiting: [(role: RoleName, metadata: PendingMetadata)] = [
            (.targets, try Self.targets(version: 3)), (releases, try Self.targets(version: 7)),
        ]
        try folder.write(waiting, changes: ["1.change"])
        #expect(directory.names == ["3.targets.json", "7.targets%2Freleases.json", "index.json"])
        #expect(try folder.names().map(\.role) == [.targets, releases])
        #expect(try folder.changes() == ["1.change"])
        #expect(try folder.metadata()[releases]?.bytes == waiting[1].metadata.bytes)
        // Somebody else's files stay.
        try Data().write(to: URL(fileURLWithPath: directory.path + "/pending/notes"))
        try folder.removeAll()
        #expect(directory.names == ["notes"])
        try folder.removeAll()
    }

    @Test("Without its index nothing waits; what is lost, or not what its name says, is told")
    func damage() throws {
        let directory = Directory()
        let folder = directory.folder
        try folder.write([(.targets, try Self.targets(version: 3))], changes: [])
        let file = URL(fileURLWithPath: directory.path + "/pending/3.targets.json")
        let index = URL(fileURLWithPath: directory.path + "/pending/index.json")
        let good = try Data(contentsOf: index)
        try FileManager.default.removeItem(at: index)
        #expect(try folder.metadata().isEmpty)
        try Data("{".utf8).write(to: index)
        #expect(throws: CeremonyError(.malformed, "")) { try folder.metadata() }
        try good.write(to: index)
        try Data(Self.targets(version: 4).bytes).write(to: file)
        #expect(throws: CeremonyError(.malformed, "")) { try folder.metadata() }
        try FileManager.default.removeItem(at: file)
        #expect(throws: CeremonyError(.malformed, "")) { try folder.metadata() }
        try Data(#"{"changes":[],"files":["3.targets.json","4.targets.json"]}"#.utf8).write(to: index)
        #expect(throws: CeremonyError(.malformed, "")) { try folder.names() }
    }

    @Test("Whenever the process dies, all of it waits or none, and the same again makes it whole")
    func crashes() throws {
        let waiting: [(role: RoleName, metadata: PendingMetadata)] = [
            (.targets, try Self.targets(version: 3)), (RoleName("targets/a"), try Self.targets(version: 7)),
        ]
        for crashes in 0... {
            let directory = Directory()
            let dying = PendingFolder(FailingFiles(directory.path, after: crashes), format: .notary)
            var isDone = false
            do {
                try dying.write(waiting, changes: ["1.change"])
                try dying.removeAll()
                isDone = true
            } catch is FailingFiles.Crash {}
            let found = try directory.folder.metadata()
            #expect(found.isEmpty || found.count == 2, "after \(crashes) changes")
            try directory.folder.removeAll()
            try directory.folder.write(waiting, changes: [])
            #expect(try directory.folder.metadata().count == 2)
            if isDone {
                #expect(crashes == 6)
                break
            }
        }
    }

    /// Files of a process that dies: after so many changes every further one fails.
    private final class FailingFiles: CeremonyFiles {
        struct Crash: Error {}
        private let files: PrivateFiles
        private let remaining: Mutex<Int>

        init(_ directory: String, after changes: Int) {
            self.files = PrivateFiles(directory)
            self.remaining = Mutex(changes)
        }

        private func change() throws {
            try self.remaining.withLock { remaining in
                guard remaining > 0 else { throw Crash() }
                remaining -= 1
            }
        }

        func read(_ path: String, limit: Int) throws -> [UInt8]? { try self.files.read(path, limit: limit) }
        func list(_ directory: String) throws -> [String] { try self.files.list(directory) }
        func replace(_ path: String, with bytes: [UInt8]) throws {
            try self.change()
            try self.files.replace(path, with: bytes)
        }
        func remove(_ paths: [String]) throws {
            for path in paths {
                try self.change()
                try self.files.remove([path])
            }
        }
    }

    @Test(
        "Only the one spelling of a version and a role is a name",
        arguments: [
            "03.root.json", "0.root.json", "-1.root.json", "+1.root.json", "1.root", "root.json", "1..json", "1.json",
            "1.targets%2freleases.json", "1.targets/releases.json", "1.%ZZ.json", "99999999999999999999.root.json",
            "1.../../x.json",
        ]
    )
    func names(name: String) throws {
        #expect(VersionedName(name) == nil)
        let role = RoleName("targets/a-b_c/d")
        let written = VersionedName(role, version: 12).text
        #expect(written == "12.targets%2Fa-b_c%2Fd.json")
        #expect(VersionedName(written) == VersionedName(role, version: 12))
    }
}
