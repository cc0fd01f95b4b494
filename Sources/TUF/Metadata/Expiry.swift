// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials

/// The moment from which metadata is no longer to be trusted.
///
/// Notary writes RFC 3339 with up to nine digits of a second and the writer's own offset from UTC, and signs that text: so the
/// text is kept.
public struct Expiry: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// RFC 3339, as written.
    public let text: String
    /// Whole seconds since 1970-01-01T00:00:00Z.
    public let seconds: Int64
    /// Nanoseconds after ``seconds``.
    public let nanoseconds: Int64

    /// Parses RFC 3339 with an optional fraction of up to nine digits, and `Z` or an offset.
    /// - Throws: ``TUFError`` with code `malformed`.
    public init(parsing text: String) throws {
        guard let moment = Self.parse(Array(text.utf8)) else {
            throw TUFError(.malformed, "expires must be an RFC 3339 date and time, not \(text.prefix(64))")
        }
        self.text = text
        self.seconds = moment.seconds
        self.nanoseconds = moment.nanoseconds
    }

    /// A moment in whole seconds, written in UTC.
    public init(_ date: Date) {
        let seconds = Int64(date.timeIntervalSince1970.rounded(.down).clamped(to: -62_135_596_800...253_402_300_799))
        self.seconds = seconds
        self.nanoseconds = 0
        let (year, month, day) = Self.civil(day: Self.floorDivide(seconds, 86400))
        let second = seconds - Self.floorDivide(seconds, 86400) * 86400
        func digits(_ value: Int64, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        self.text =
            "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))T"
            + "\(digits(second / 3600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2))Z"
    }

    /// A time to compare expiries with, to the precision that `Date` has: cutting off the fraction of a second would let
    /// what expired within it pass.
    static func moment(_ date: Date) -> Expiry {
        let seconds = date.timeIntervalSince1970
        // No time at all is later than every expiry.
        let whole = Expiry(seconds.isNaN ? .distantFuture : date)
        let fraction = (seconds - Double(whole.seconds)) * 1e9
        return Expiry(whole, nanoseconds: fraction > 0 && fraction < 1e9 ? Int64(fraction) : 0)
    }

    private init(_ whole: Expiry, nanoseconds: Int64) {
        self.text = whole.text
        self.seconds = whole.seconds
        self.nanoseconds = nanoseconds
    }

    /// The moment as a date, to the precision that `Date` has.
    public var date: Date {
        Date(timeIntervalSince1970: Double(self.seconds) + Double(self.nanoseconds) / 1e9)
    }

    /// The text.
    public var description: String { self.text }

    /// Equality of moments, however they are written.
    public static func == (left: Expiry, right: Expiry) -> Bool {
        (left.seconds, left.nanoseconds) == (right.seconds, right.nanoseconds)
    }

    /// Hashes the moment.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.seconds)
        hasher.combine(self.nanoseconds)
    }

    /// Order in time.
    public static func < (left: Expiry, right: Expiry) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    private static func parse(_ text: [UInt8]) -> (seconds: Int64, nanoseconds: Int64)? {
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= text.count else { return nil }
            var value: Int64 = 0
            for byte in text[range] {
                guard byte &- UInt8(ascii: "0") < 10 else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return value
        }
        func holds(_ character: Character, at index: Int) -> Bool {
            index < text.count && text[index] == character.asciiValue
        }
        guard text.count <= 40, let year = number(0..<4), holds("-", at: 4), let month = number(5..<7),
            holds("-", at: 7),
            let day = number(8..<10), holds("T", at: 10), let hour = number(11..<13), holds(":", at: 13),
            let minute = number(14..<16), holds(":", at: 16), let second = number(17..<19), (1...12).contains(month),
            day >= 1, day <= Self.days(in: month, of: year), hour < 24, minute < 60, second < 60
        else { return nil }
        var index = 19
        var nanoseconds: Int64 = 0
        if holds(".", at: index) {
            let digits = text[20...].prefix { $0 &- UInt8(ascii: "0") < 10 }.count
            guard (1...9).contains(digits), let fraction = number(20..<(20 + digits)) else { return nil }
            nanoseconds = (digits..<9).reduce(fraction) { value, _ in value * 10 }
            index = 20 + digits
        }
        guard index < text.count else { return nil }
        var offset: Int64 = 0
        if holds("Z", at: index) {
            index += 1
        } else {
            guard holds("+", at: index) || holds("-", at: index), let hours = number((index + 1)..<(index + 3)),
                holds(":", at: index + 3), let minutes = number((index + 4)..<(index + 6)), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * 60 * (holds("-", at: index) ? -1 : 1)
            index += 6
        }
        guard index == text.count else { return nil }
        let days = Self.day(year: year, month: month, day: day)
        return (days * 86400 + hour * 3600 + minute * 60 + second - offset, nanoseconds)
    }

    private static func days(in month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : -((divisor - 1 - value) / divisor)
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar, counted from March so that leap days come last.
    private static func day(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = self.floorDivide(year, 400)
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = self.floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        )
    }
}

extension Double {
    fileprivate func clamped(to range: ClosedRange<Double>) -> Double {
        self.isNaN ? range.lowerBound : Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
