// SPDX-License-Identifier: Apache-2.0

extension Snapshot {
    /// Reads what a snapshot signs. One that lists many thousand bins is read without making a JSON value of each.
    public init(_ signed: SignedObject, format: WireFormat) throws {
        guard format == .tuf, let meta = signed.members.first(where: { $0.name.utf8.elementsEqual("meta".utf8) }),
            let files = try Self.files(meta, of: signed)
        else {
            try self.init(signed.value, format: format)
            return
        }
        // Of all it lists, the role that must be there is enough to read the rest.
        guard let map = ByteOrderedMap(uniqueKeys: files) else {
            throw TUFError(.malformed, role: .snapshot, "lists a role twice")
        }
        let targets = map[RoleName.targets.text]
        let mandatory = targets.map { ["targets.json": TUFWire.json($0)] as JSONValue } ?? .object([:])
        try self.init(signed.value { $0 == "meta" ? mandatory : nil }, format: format)
        self.meta = map
    }

    /// The roles and what is said of them; nil when that is no object.
    private static func files(
        _ meta: SignedObject.Member,
        of signed: SignedObject
    ) throws -> [(key: String, value: FileMetadata)]? {
        let bytes = signed.bytes.span.bytes
        var scanner = CanonicalScanner(at: meta.position, allowsControlCharacters: true)
        guard scanner.skip(UInt8(ascii: "{"), bytes) else { return nil }
        var files: [(key: String, value: FileMetadata)] = []
        if scanner.skip(UInt8(ascii: "}"), bytes) { return files }
        // As many as there are when each has a version, a length and a hash: memory that is not used is not touched.
        files.reserveCapacity((bytes.byteCount - scanner.position) / 128)
        repeat {
            guard let text = scanner.name(bytes, after: nil) else { return nil }
            guard let role = Self.role(text, bytes) else {
                let name = text.string(in: bytes)
                throw TUFError(.malformed, role: .snapshot, "\(name.prefix(64)) is not the name of a metadata file")
            }
            let start = scanner.position
            if let file = FileMetadata(&scanner, bytes) {
                files.append((role, file))
            } else {
                scanner.move(to: start)
                guard scanner.value(bytes, depth: 3) else { return nil }
                files.append((role, try TUFWire.file(CanonicalReader.value(at: start, in: bytes) ?? .null)))
            }
        } while scanner.skip(UInt8(ascii: ","), bytes)
        return files
    }

    /// The role that a file's name is of, which ends in `.json`.
    private static func role(_ name: CanonicalText, _ bytes: RawSpan) -> String? {
        guard !name.isEscaped else { return self.role(of: name.string(in: bytes)) }
        let end = name.range.upperBound - 5
        var scanner = CanonicalScanner(at: end, allowsControlCharacters: true)
        guard end > name.range.lowerBound, scanner.skip(".json", bytes) else { return nil }
        return bytes.text(name.range.lowerBound..<end)
    }
}

extension FileMetadata {
    /// Reads the spelling that nearly all descriptions of TUF's format have: a version, and perhaps a length and a SHA-256.
    /// - Returns: nil for any other: the scanner may be anywhere then.
    fileprivate init?(_ scanner: inout CanonicalScanner, _ bytes: RawSpan) {
        self.init()
        guard scanner.skip("{\"", bytes) else { return nil }
        if scanner.skip("hashes\":{\"sha256\":\"", bytes) {
            guard let digest = SHA256Value(hexadecimalAt: scanner.position, in: bytes) else { return nil }
            self.hashes = Hashes(sha256: digest)
            scanner.move(to: scanner.position + 64)
            guard scanner.skip("\"},\"", bytes) else { return nil }
        }
        if scanner.skip("length\":", bytes) {
            guard let length = scanner.integer(bytes), length >= 0, scanner.skip(",\"", bytes) else { return nil }
            self.length = length
        }
        guard scanner.skip("version\":", bytes), let version = scanner.integer(bytes), version >= 1,
            scanner.skip(UInt8(ascii: "}"), bytes)
        else { return nil }
        self.version = version
    }
}
