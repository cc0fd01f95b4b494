// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import TUF
import Testing

/// A mirror that leaves out, puts one thing in another's place, or sends clients elsewhere.
@Suite("Malicious mirror")
struct MirrorTests {
    @Test(
        "metadata that is listed and withheld stops an update",
        arguments: bothFormats,
        [RoleName.snapshot, .targets]
    )
    func withheld(_ format: WireFormat, _ role: RoleName) async throws {
        try await Scenario.with(format) { scenario in
            try await scenario.publishSecond()
            let moving = try await scenario.newest(before: role)
            scenario.attacker.answer(role, .status(.notFound))
            try await scenario.expectRefusal(format == .tuf ? .noTrustData : .rollback, moving: moving)
            scenario.attacker.answer(role, .status(.internalServerError))
            try await scenario.expectRefusal(.unreachable)
            scenario.attacker.answer(role, .cut(Array("{\"signed\":{".utf8), of: 100))
            try await scenario.expectRefusal(.unreachable)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test(
        "a timestamp that is withheld: what is known works as long as it says",
        arguments: bothFormats,
        [HTTPResponseStatus.notFound, .internalServerError]
    )
    func withheldTimestamp(_ format: WireFormat, _ status: HTTPResponseStatus) async throws {
        try await Scenario.with(format) { scenario in
            try await scenario.publishSecond()
            scenario.attacker.answer(.timestamp, .status(status))
            try await scenario.expectOutage(status == .notFound ? .noTrustData : .unreachable)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("nobody is sent on to plain HTTP, though what is there is good", arguments: bothFormats)
    func redirected(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            try await scenario.publishSecond()
            let plain = scenario.plainURL
            scenario.attacker.begin { .redirect(to: plain + $0.path) }
            try await scenario.expectRefusal(.unreachable, of: try scenario.readyNewcomer())
            for role in [RoleName.snapshot, .targets] {
                scenario.attacker.begin { $0.role == role ? .redirect(to: plain + $0.path) : nil }
                try await scenario.expectRefusal(.unreachable, moving: try await scenario.newest(before: role))
            }
            scenario.attacker.begin { $0.role == .timestamp ? .redirect(to: plain + $0.path) : nil }
            try await scenario.expectOutage(.unreachable)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("one role's metadata is no other's", arguments: bothFormats)
    func swapped(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            scenario.attacker.serve([.timestamp: try await scenario.repository.current(.snapshot)])
            try await scenario.expectRefusal(.signature)
            try await scenario.publishSecond()
            scenario.attacker.serve([.targets: try await scenario.repository.current(.snapshot)])
            try await scenario.expectRefusal(.rollback, moving: try await scenario.newest(before: .targets))
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("a target that is listed and withheld is an error, and the file that was there stays")
    func withheldTarget() async throws {
        try await Scenario.with(.tuf) { scenario in
            let file = "\(scenario.downloads)/app"
            var view = try await scenario.reader.update()
            try await view.download("app", to: file)
            try await scenario.publishSecond()
            _ = try await scenario.reader.update()
            let plain = scenario.plainURL
            scenario.attacker.begin { $0.role == nil ? .status(.notFound) : nil }
            try await scenario.expectRefusal(.notSigned) { try await $0.download("app", to: file) }
            scenario.attacker.begin { $0.role == nil ? .status(.internalServerError) : nil }
            try await scenario.expectRefusal(.unreachable) { try await $0.download("app", to: file) }
            scenario.attacker.begin { $0.role == nil ? .redirect(to: plain + $0.path) : nil }
            try await scenario.expectRefusal(.unreachable) { try await $0.download("app", to: file) }
            scenario.attacker.begin { $0.role == nil ? .cut(Array("ap".utf8), of: 5) : nil }
            try await scenario.expectRefusal(.unreachable) { try await $0.download("app", to: file) }
            #expect(scenario.downloaded() == ["app": "app 1"])
            scenario.stopAttack()
            view = try await scenario.reader.update()
            try await view.download("app", to: file)
            #expect(scenario.downloaded() == ["app": "app 2"])
        }
    }
}
