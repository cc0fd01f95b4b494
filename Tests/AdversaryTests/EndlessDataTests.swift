// SPDX-License-Identifier: Apache-2.0

import TUF
import Testing

/// Answers that want to fill a disk, or to hold a client up.
@Suite("Endless data")
struct EndlessDataTests {
    @Test(
        "metadata without end is cut off at its bound",
        arguments: bothFormats,
        [RoleName.timestamp, .snapshot, .targets]
    )
    func metadata(_ format: WireFormat, _ role: RoleName) async throws {
        try await Scenario.with(format) { scenario in
            try await scenario.publishSecond()
            scenario.attacker.answer(role, .endless)
            try await scenario.expectRefusal(.rollback, moving: try await scenario.newest(before: role))
            #expect(scenario.attacker.endlessBytes < 64 << 20)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("a root without end is cut off at its bound", arguments: bothFormats)
    func root(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            scenario.attacker.answer(.root, .endless)
            let newcomer = try scenario.readyNewcomer()
            try await scenario.expectRefusal(.rollback, of: newcomer)
            #expect(scenario.attacker.endlessBytes < 64 << 20)
            try await scenario.expectRecovery(of: newcomer)
        }
    }

    @Test("a target longer than it is listed is cut off there, and the file that was there stays")
    func target() async throws {
        try await Scenario.with(.tuf) { scenario in
            let file = "\(scenario.downloads)/app"
            var view = try await scenario.reader.update()
            try await view.download("app", to: file)
            try await scenario.publishSecond()
            _ = try await scenario.reader.update()
            scenario.attacker.begin { $0.role == nil ? .endless : nil }
            try await scenario.expectRefusal(.contentMismatch) { try await $0.download("app", to: file) }
            #expect(scenario.attacker.endlessBytes < 64 << 20)
            #expect(scenario.downloaded() == ["app": "app 1"])
            scenario.stopAttack()
            view = try await scenario.reader.update()
            try await view.download("app", to: file)
            #expect(scenario.downloaded() == ["app": "app 2"])
        }
    }

    @Test("metadata that drips is given up", arguments: bothFormats, [RoleName.snapshot, .targets])
    func slow(_ format: WireFormat, _ role: RoleName) async throws {
        try await Scenario.with(format) { scenario in
            try await scenario.publishSecond()
            scenario.drip { $0.role == role }
            try await scenario.expectRefusal(.unreachable, moving: try await scenario.newest(before: role))
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("a timestamp that drips is given up: what is known works as long as it says", arguments: bothFormats)
    func slowTimestamp(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            try await scenario.publishSecond()
            scenario.drip { $0.role == .timestamp }
            try await scenario.expectOutage(.unreachable)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("a target that drips is given up, and what came of it is under no name of its own")
    func slowTarget() async throws {
        try await Scenario.with(.tuf) { scenario in
            let file = "\(scenario.downloads)/app"
            scenario.drip { $0.role == nil }
            try await scenario.expectRefusal(.unreachable) { try await $0.download("app", to: file) }
            #expect(scenario.downloaded() == [:])
            scenario.stopAttack()
            var view = try await scenario.reader.update()
            try await view.download("app", to: file)
            #expect(scenario.downloaded() == ["app": "app 1"])
        }
    }
}

extension Scenario {
    /// No timestamp is to be had. A client of TUF's format refuses; one of Notary's goes on with the first version, says why,
    /// and refuses once its timestamp has expired.
    func expectOutage(_ expected: Refusal, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        guard self.format == .notary else {
            return try await self.expectRefusal(expected, sourceLocation: sourceLocation)
        }
        let kept = self.reader.kept()
        var view = try await self.reader.update()
        #expect(view.offline == expected, sourceLocation: sourceLocation)
        #expect(try await view.find("app")?.file == .content("app 1"), sourceLocation: sourceLocation)
        #expect(self.reader.kept() == kept, sourceLocation: sourceLocation)
        try await self.expectRefusal(expected, of: try self.newcomer(), sourceLocation: sourceLocation)
        self.clock.advance(days: 15)
        try await self.expectRefusal(.expired, sourceLocation: sourceLocation)
    }
}
