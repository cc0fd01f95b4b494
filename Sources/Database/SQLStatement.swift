// SPDX-License-Identifier: Apache-2.0

/// A statement with its parameters.
package struct SQLStatement: Sendable {
    package let sql: String
    package let parameters: [SQLValue]

    package init(_ sql: String, _ parameters: [SQLValue]) {
        self.sql = sql
        self.parameters = parameters
    }

    package init(_ sql: String, _ parameters: SQLValue...) {
        self.init(sql, parameters)
    }
}

/// A lock on something that has a name, held until the transaction ends. Between all who use the database, from whatever
/// process; other names, and databases or schemas, are others' affair.
package struct SQLLock: Sendable, Hashable {
    let name: String
    let isShared: Bool

    /// Nobody else holds it meanwhile.
    package static func exclusive(_ name: String) -> SQLLock { SQLLock(name: name, isShared: false) }
    /// Others may share it; nobody has it exclusively meanwhile.
    package static func shared(_ name: String) -> SQLLock { SQLLock(name: name, isShared: true) }
}
