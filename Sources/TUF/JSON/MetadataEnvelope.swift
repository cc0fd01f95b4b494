// SPDX-License-Identifier: Apache-2.0

/// The outer object of a metadata file, with the bytes that are signed.
struct MetadataEnvelope {
    /// The members other than `signed`.
    let members: ByteOrderedMap<JSONValue>
    /// Where the value of `signed` lies in the file.
    let signedRange: Range<Int>
    /// Whether it lies there in canonical form.
    let isCanonical: Bool
    /// What is signed.
    let signed: SignedObject

    /// Reads a file.
    ///
    /// What is signed is read once if it is canonical as it stands. If not, its canonical form is made: a second copy.
    /// - Throws: ``TUFError`` with code `malformed`: not JSON, or not an object with an object `signed`.
    init(_ bytes: [UInt8], format: WireFormat) throws {
        let span = bytes.span.bytes
        var reader = CanonicalTranscoder()
        reader.skipWhiteSpace(span)
        guard reader.current(span) == UInt8(ascii: "{") else {
            // Not JSON at all is the better answer.
            try reader.value(span, depth: 0)
            throw TUFError(.malformed, "metadata must be a JSON object")
        }
        try reader.enter(depth: 0)
        var members: [(key: String, value: JSONValue)] = []
        var signed: (range: Range<Int>, isCanonical: Bool, object: SignedObject)?
        reader.skipWhiteSpace(span)
        if !reader.skip(UInt8(ascii: "}"), span) {
            repeat {
                let name = try reader.name(span).string(in: reader.output.span.bytes)
                reader.skipWhiteSpace(span)
                if name == "signed" {
                    signed = try Self.signed(bytes, &reader, format: format)
                    members.append((name, .null))
                } else {
                    let start = reader.output.count
                    try reader.value(span, depth: 1)
                    members.append((name, CanonicalReader.value(at: start, in: reader.output.span.bytes) ?? .null))
                }
            } while try !reader.isAtEnd(of: UInt8(ascii: "}"), span)
        }
        try reader.end(span)
        guard var map = ByteOrderedMap(uniqueKeys: members) else {
            throw reader.error("an object has two members of one name")
        }
        map["signed"] = nil
        guard let signed else { throw TUFError(.malformed, "metadata: signed must be an object") }
        self.members = map
        self.signedRange = signed.range
        self.isCanonical = signed.isCanonical
        self.signed = signed.object
    }

    private static func signed(
        _ bytes: [UInt8],
        _ reader: inout CanonicalTranscoder,
        format: WireFormat
    ) throws -> (range: Range<Int>, isCanonical: Bool, object: SignedObject) {
        if let object = SignedObject(inFile: bytes, at: reader.position, format: format) {
            reader.move(to: object.range.upperBound)
            return (object.range, true, object)
        }
        var transcoder = CanonicalTranscoder(at: reader.position, capacity: bytes.count - reader.position)
        try transcoder.value(bytes.span.bytes, depth: 1)
        let range = reader.position..<transcoder.position
        reader.move(to: transcoder.position)
        guard let object = SignedObject(canonical: transcoder.output, format: format) else {
            throw TUFError(.malformed, "metadata: signed must be an object")
        }
        return (range, false, object)
    }
}
