// SPDX-License-Identifier: Apache-2.0

extension TargetMap {
    /// The members of the `targets` object, as values.
    func json(format: WireFormat) -> JSONValue {
        .object(ByteOrderedMap(sorted: self.map { ($0.key, $0.value.json(format: format)) }))
    }

    /// How many bytes ``write(to:format:)`` writes, roughly.
    var estimatedSize: Int {
        (self.index.map { $0.range(0..<$0.count).count } ?? 0) + self.edits.count * 256
    }

    /// Writes the `targets` object in canonical form. What was read is copied as it was, around what was edited.
    func write(to bytes: inout [UInt8], format: WireFormat) {
        bytes.append(UInt8(ascii: "{"))
        defer { bytes.append(UInt8(ascii: "}")) }
        let start = bytes.count
        guard let index = self.index, index.format == format else {
            for (path, file) in self {
                if bytes.count > start { bytes.append(UInt8(ascii: ",")) }
                CanonicalJSON.write(.string(path), to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                CanonicalJSON.write(file.json(format: format), to: &bytes)
            }
            return
        }
        var next = 0
        func copy(upTo end: Int) {
            guard next < end else { return }
            if bytes.count > start { bytes.append(UInt8(ascii: ",")) }
            bytes.append(index.range(next..<end), of: index.bytes.span.bytes)
            next = end
        }
        for (path, edit) in self.sortedEdits {
            let found = index.find(path.text)
            copy(upTo: found.index)
            if found.isThere { next = found.index + 1 }
            guard case .set(let file) = edit else { continue }
            if bytes.count > start { bytes.append(UInt8(ascii: ",")) }
            CanonicalJSON.write(.string(path.text), to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            CanonicalJSON.write(file.json(format: format), to: &bytes)
        }
        copy(upTo: index.count)
    }
}

extension Targets {
    /// Reads what a targets role signs; of its targets, nothing but their places.
    public init(_ signed: SignedObject, format: WireFormat) throws {
        try self.init(
            signed.value { $0 == "targets" && signed.targets != nil ? .object([:]) : nil },
            format: format
        )
        if let index = signed.targets { self.targets = try TargetMap(index) }
    }

    /// What this role signs, in canonical form.
    public func canonical(format: WireFormat) -> [UInt8] {
        guard !self.targets.isEmpty else { return CanonicalJSON.encode(self.json(format: format)) }
        var rest = self
        rest.targets = TargetMap()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(self.targets.estimatedSize + 4096)
        bytes.append(UInt8(ascii: "{"))
        var members = rest.json(format: format).object ?? [:]
        members["targets"] = .object([:])
        for (index, member) in members.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            CanonicalJSON.write(.string(member.key), to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            if member.key == "targets" {
                self.targets.write(to: &bytes, format: format)
            } else {
                CanonicalJSON.write(member.value, to: &bytes)
            }
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}

extension TargetFile {
    /// Reads one target.
    /// - Throws: ``TUFError`` with code `malformed` or `invalid`.
    init(_ value: JSONValue, format: WireFormat) throws {
        switch format {
        case .notary: self = try NotaryWire.target(value)
        }
    }

    /// The value that is written for a target.
    func json(format: WireFormat) -> JSONValue {
        switch format {
        case .notary: NotaryWire.json(self)
        }
    }
}
