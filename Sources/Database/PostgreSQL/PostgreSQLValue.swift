// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How values travel: integers and text as text, which PostgreSQL takes for any type that fits; bytes, instants and all
/// results in binary.
///
/// Notary's tables have TIMESTAMP columns where ours have BIGINT. An instant is an integer of Unix milliseconds for the
/// stores either way: the type that the server tells for a parameter or a column decides.
enum PostgreSQLValue {
    private enum TypeID {
        static let bool: UInt32 = 16
        static let bytea: UInt32 = 17
        static let name: UInt32 = 19
        static let int8: UInt32 = 20
        static let int2: UInt32 = 21
        static let int4: UInt32 = 23
        static let text: UInt32 = 25
        static let oid: UInt32 = 26
        static let unknown: UInt32 = 705
        static let bpchar: UInt32 = 1042
        static let varchar: UInt32 = 1043
        static let timestamp: UInt32 = 1114
        static let timestamptz: UInt32 = 1184
    }

    /// 2000-01-01, where PostgreSQL's instants begin, in Unix milliseconds.
    private static let epoch: Int64 = 946_684_800_000

    /// A parameter as it is sent.
    struct Parameter {
        /// Nil for NULL. Text ends in a NUL, which is not counted.
        let bytes: [UInt8]?
        let isBinary: Bool
        let count: Int
    }

    /// - Throws: ``DatabaseError`` with code `constraintViolation` for what PostgreSQL cannot hold.
    static func parameter(_ value: SQLValue, type: UInt32?) throws -> Parameter {
        switch value {
        case .null:
            return Parameter(bytes: nil, isBinary: false, count: 0)
        case .integer(let integer):
            if type == TypeID.timestamp || type == TypeID.timestamptz {
                let (sinceEpoch, early) = integer.subtractingReportingOverflow(Self.epoch)
                let (microseconds, far) = sinceEpoch.multipliedReportingOverflow(by: 1000)
                guard !early, !far else {
                    throw DatabaseError(code: .constraintViolation, message: "\(integer) ms is not an instant")
                }
                return self.binary(withUnsafeBytes(of: microseconds.bigEndian) { Array($0) })
            }
            return self.text(String(integer))
        case .text(let text):
            // libpq would send what stands before it.
            guard !text.utf8.contains(0) else {
                throw DatabaseError(code: .constraintViolation, message: "text must not hold a NUL character")
            }
            return self.text(text)
        case .blob(let data):
            return self.binary(Array(data))
        }
    }

    private static func text(_ text: String) -> Parameter {
        let bytes = Array(text.utf8)
        return Parameter(bytes: bytes + [0], isBinary: false, count: bytes.count)
    }

    private static func binary(_ bytes: [UInt8]) -> Parameter {
        // An empty value must not be a nil pointer, which is NULL.
        Parameter(bytes: bytes.isEmpty ? [0] : bytes, isBinary: true, count: bytes.count)
    }

    /// A value of a result, in binary.
    static func value(_ bytes: UnsafeRawBufferPointer, type: UInt32) throws -> SQLValue {
        switch type {
        case TypeID.int8: return .integer(try self.integer(bytes, Int64.self))
        case TypeID.int4: return .integer(Int64(try self.integer(bytes, Int32.self)))
        case TypeID.int2: return .integer(Int64(try self.integer(bytes, Int16.self)))
        case TypeID.oid: return .integer(Int64(try self.integer(bytes, UInt32.self)))
        case TypeID.bool: return .integer(Int64(try self.integer(bytes, UInt8.self)))
        case TypeID.text, TypeID.varchar, TypeID.name, TypeID.unknown:
            return .text(String(decoding: bytes, as: UTF8.self))
        case TypeID.bpchar:
            // CHAR(n) is padded with blanks that do not count.
            let end = bytes.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
            return .text(String(decoding: bytes[..<end], as: UTF8.self))
        case TypeID.bytea:
            return .blob(Data(bytes))
        case TypeID.timestamp, TypeID.timestamptz:
            return .integer(self.milliseconds(try self.integer(bytes, Int64.self)))
        default:
            throw DatabaseError(
                code: .corrupt,
                message: "a result has a column of the type with OID \(type), which no schema of ours has"
            )
        }
    }

    /// Rounded down. Cannot overflow: a thousandth, and the epoch.
    private static func milliseconds(_ microseconds: Int64) -> Int64 {
        let (quotient, remainder) = microseconds.quotientAndRemainder(dividingBy: 1000)
        return quotient - (remainder < 0 ? 1 : 0) + self.epoch
    }

    private static func integer<Integer: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer,
        _ type: Integer.Type
    ) throws -> Integer {
        guard bytes.count == MemoryLayout<Integer>.size else {
            throw DatabaseError(
                code: .corrupt,
                message: "a value of \(bytes.count) bytes where \(MemoryLayout<Integer>.size) were expected"
            )
        }
        return Integer(bigEndian: bytes.loadUnaligned(as: Integer.self))
    }
}
