// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes one object a line: `time` (RFC 3339, UTC), `level`, `logger`, `message` and, if there is any, `metadata`.
struct JSONLogHandler: LogHandler {
    /// Lines are written whole.
    private static let output = Mutex(())

    let label: String
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(label: String) {
        self.label = label
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var metadata = self.metadata
        if let provided = self.metadataProvider?.get() { metadata.merge(provided) { $1 } }
        if let own = event.metadata { metadata.merge(own) { $1 } }
        if let error = event.error { metadata["error"] = "\(error)" }
        var line = JSONLine()
        line.open()
        line.member("time", Self.time())
        line.member("level", event.level.rawValue)
        line.member("logger", self.label)
        line.member("message", event.message.description)
        if !metadata.isEmpty { line.member("metadata", .dictionary(metadata)) }
        line.close()
        Self.write(line.bytes + [UInt8(ascii: "\n")])
    }

    private static func write(_ bytes: [UInt8]) {
        self.output.withLock { _ in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { unistdWrite(STDERR_FILENO, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                // Nobody reads the log any more: there is no other place to tell.
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    private static func time() -> String {
        let microseconds = Int64(Date().timeIntervalSince1970 * 1_000_000)
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int, _ width: Int = 2) -> String {
            let digits = "\(number)"
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1))-\(padded(Int(parts.tm_mday)))"
        let time = "\(padded(Int(parts.tm_hour))):\(padded(Int(parts.tm_min))):\(padded(Int(parts.tm_sec)))"
        return "\(date)T\(time).\(padded(Int(microseconds % 1_000_000), 6))Z"
    }
}

/// The system's, whose name is hidden by a method's.
private func unistdWrite(_ descriptor: CInt, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

/// An object in one line.
private struct JSONLine {
    private(set) var bytes: [UInt8] = []
    private var isFirst = true

    mutating func open() {
        self.bytes.append(UInt8(ascii: "{"))
        self.isFirst = true
    }

    mutating func close() {
        self.bytes.append(UInt8(ascii: "}"))
        self.isFirst = false
    }

    mutating func member(_ name: String, _ text: String) {
        self.name(name)
        self.text(text)
    }

    mutating func member(_ name: String, _ value: Logger.MetadataValue) {
        self.name(name)
        self.value(value)
    }

    private mutating func name(_ name: String) {
        if !self.isFirst { self.bytes.append(UInt8(ascii: ",")) }
        self.isFirst = false
        self.text(name)
        self.bytes.append(UInt8(ascii: ":"))
    }

    private mutating func value(_ value: Logger.MetadataValue) {
        switch value {
        case .string(let text):
            self.text(text)
        case .stringConvertible(let value):
            self.text(value.description)
        case .array(let values):
            self.bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { self.bytes.append(UInt8(ascii: ",")) }
                self.value(value)
            }
            self.bytes.append(UInt8(ascii: "]"))
        case .dictionary(let members):
            self.open()
            for (name, value) in members.sorted(by: { $0.key < $1.key }) { self.member(name, value) }
            self.close()
        }
    }

    private mutating func text(_ text: String) {
        self.bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                self.bytes += [UInt8(ascii: "\\"), byte]
            case ..<0x20, 0x7F:
                let digits = Array("0123456789abcdef".utf8)
                self.bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default:
                self.bytes.append(byte)
            }
        }
        self.bytes.append(UInt8(ascii: "\""))
    }
}
