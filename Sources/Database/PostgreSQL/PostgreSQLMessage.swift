// SPDX-License-Identifier: Apache-2.0

/// What is sent to the server.
enum PostgreSQLMessage {
    /// A statement without parameters.
    case direct(String)
    case prepare(_ name: String, String)
    case describe(_ name: String, sql: String)
    case execute(_ name: String, [PostgreSQLValue.Parameter], sql: String)

    var sql: String {
        switch self {
        case .direct(let sql), .prepare(_, let sql), .describe(_, let sql), .execute(_, _, let sql): sql
        }
    }

    /// Hands the parameters over as C takes them: values, lengths, formats.
    static func withPointers<Result>(
        to parameters: [PostgreSQLValue.Parameter],
        _ body: (LibPQ.Texts?, UnsafePointer<CInt>?, UnsafePointer<CInt>?) -> Result
    ) -> Result {
        var storage: [UInt8] = []
        storage.reserveCapacity(parameters.reduce(0) { $0 + ($1.bytes?.count ?? 0) })
        var offsets: [Int?] = []
        for parameter in parameters {
            offsets.append(parameter.bytes == nil ? nil : storage.count)
            storage += parameter.bytes ?? []
        }
        let lengths = parameters.map { CInt(clamping: $0.count) }
        let formats = parameters.map { $0.isBinary ? CInt(1) : 0 }
        return storage.withUnsafeBytes { bytes in
            let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            let pointers = offsets.map { offset in offset.flatMap { start?.advanced(by: $0) } }
            return pointers.withUnsafeBufferPointer { body($0.baseAddress, lengths, formats) }
        }
    }
}
