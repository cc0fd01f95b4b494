// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import TUF

struct ExpiryTests {
    @Test(
        "reads RFC 3339 with fractions and offsets",
        arguments: [
            ("1970-01-01T00:00:00Z", 0, 0), ("2036-11-18T06:42:09.716983989Z", 2_110_603_329, 716_983_989),
            ("2036-11-18T16:10:59.20701296+09:00", 2_110_605_059, 207_012_960),
            ("2026-12-05T02:10:59.246523314-05:00", 1_796_454_659, 246_523_314),
            ("2000-02-29T23:59:59.5Z", 951_868_799, 500_000_000), ("1969-12-31T23:59:59.9Z", -1, 900_000_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200, 0), ("9999-12-31T23:59:59-23:59", 253_402_387_139, 0),
            ("2024-02-29T00:00:00+23:59", 1_709_078_460, 0),
        ] as [(String, Int64, Int64)]
    )
    func reads(_ text: String, _ seconds: Int64, _ nanoseconds: Int64) throws {
        let expiry = try Expiry(parsing: text)
        #expect(expiry.seconds == seconds)
        #expect(expiry.nanoseconds == nanoseconds)
        #expect(expiry.text == text)
    }

    @Test(
        "refuses all else",
        arguments: [
            "", "2026-12-05", "2026-12-05T06:42:26", "2026-12-05 06:42:26Z", "2026-12-05t06:42:26z",
            "2026-12-05T06:42:26.Z", "2026-12-05T06:42:26,5Z",
            "2026-12-05T06:42:26.1234567890Z", "2026-12-05T06:42:26Zx", "2026-12-05T06:42:26+0900",
            "2026-12-05T06:42:26+09", "2026-12-05T06:42:26+24:00",
            "2026-12-05T06:42:26+00:60", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
            "-026-01-01T00:00:00Z", "+026-01-01T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z", "2026-1-01T00:00:00Z",
            "2026-01-01T00:00:00", "2026-01-01T00:00:00.",
            "2026-01-01T00:00:00.1", "2026-01-01T00:00:00+", "2026-01-01T00:00:00+01", "2026-01-01T00:00:00+01:",
            "2026-01-01T00:00:00+01:0",
            "12026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000000+00:00:00", "\u{FEFF}2026-01-01T00:00:00Z",
        ]
    )
    func refuses(_ text: String) {
        #expect(throws: TUFError(.malformed, "")) { try Expiry(parsing: text) }
    }

    @Test("what is written of a date is read as that date, and agrees with Foundation's calendar")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<3000 {
            let seconds = Int64.random(in: -62_135_596_800...253_402_300_799, using: &generator)
            let written = Expiry(Date(timeIntervalSince1970: Double(seconds)))
            #expect(written.seconds == seconds)
            #expect(try Expiry(parsing: written.text).seconds == seconds)
        }
        for seconds in stride(from: -2_208_988_800, to: 4_102_444_800, by: 86400 * 61 + 3601) {
            let date = Date(timeIntervalSince1970: Double(seconds))
            #expect(Expiry(date).text == date.formatted(.iso8601))
        }
    }

    @Test("takes dates out of range to the end of it")
    func extremes() {
        #expect(Expiry(.distantFuture).seconds > 0)
        #expect(Expiry(Date(timeIntervalSince1970: .infinity)).text == "9999-12-31T23:59:59Z")
        #expect(Expiry(Date(timeIntervalSince1970: -.greatestFiniteMagnitude)).text == "0001-01-01T00:00:00Z")
        #expect(Expiry(Date(timeIntervalSince1970: .nan)).text == "0001-01-01T00:00:00Z")
        // As the present time, what is no number must not make anything current.
        #expect(Expiry.moment(Date(timeIntervalSince1970: .nan)).seconds > Expiry(Fixture.now).seconds)
    }

    @Test("orders moments, not texts, to the nanosecond")
    func order() throws {
        #expect(try Expiry(parsing: "2026-01-01T09:00:00+09:00") == Expiry(parsing: "2026-01-01T00:00:00.000Z"))
        #expect(try Expiry(parsing: "2026-01-01T00:00:00.5Z") < Expiry(parsing: "2026-01-01T00:00:00.500000001Z"))
        let half = Expiry.moment(Date(timeIntervalSince1970: 10.5))
        #expect(half.nanoseconds == 500_000_000)
        #expect(try Expiry(parsing: "1970-01-01T00:00:10.4Z") < half)
        #expect(Expiry.moment(Date(timeIntervalSince1970: -10.25)).nanoseconds == 750_000_000)
    }
}
