// SPDX-License-Identifier: Apache-2.0

extension Root {
    /// Reads the `signed` object of a root.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        switch format {
        case .notary: try self.init(notary: signed)
        case .tuf: try self.init(tuf: signed)
        }
    }

    /// The `signed` object of this root.
    public func json(format: WireFormat) -> JSONValue {
        switch format {
        case .notary: self.notaryJSON
        case .tuf: self.tufJSON
        }
    }
}

extension Targets {
    /// Reads the `signed` object of a targets role.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        switch format {
        case .notary: try self.init(notary: signed)
        case .tuf: try self.init(tuf: signed)
        }
    }

    /// The `signed` object of this role.
    public func json(format: WireFormat) -> JSONValue {
        switch format {
        case .notary: self.notaryJSON
        case .tuf: self.tufJSON
        }
    }
}

extension Snapshot {
    /// Reads the `signed` object of a snapshot.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        switch format {
        case .notary: try self.init(notary: signed)
        case .tuf: try self.init(tuf: signed)
        }
    }

    /// The `signed` object of this snapshot.
    public func json(format: WireFormat) -> JSONValue {
        switch format {
        case .notary: self.notaryJSON
        case .tuf: self.tufJSON
        }
    }
}

extension Timestamp {
    /// Reads the `signed` object of a timestamp.
    public init(_ signed: JSONValue, format: WireFormat) throws {
        switch format {
        case .notary: try self.init(notary: signed)
        case .tuf: try self.init(tuf: signed)
        }
    }

    /// The `signed` object of this timestamp.
    public func json(format: WireFormat) -> JSONValue {
        switch format {
        case .notary: self.notaryJSON
        case .tuf: self.tufJSON
        }
    }
}
