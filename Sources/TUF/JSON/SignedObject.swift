// SPDX-License-Identifier: Apache-2.0

/// What a role signs: a JSON object, in canonical form.
///
/// Of the object `targets` in it, which may have a million members, only the places of its members are known: none of them
/// is a value until somebody asks for it.
public struct SignedObject: Sendable {
    /// One member of the object.
    struct Member: Sendable {
        let name: String
        /// Where its value begins.
        let position: Int
    }

    /// What the object lies in: the file, if it is canonical there, or a copy that is.
    let bytes: [UInt8]
    /// Where it lies.
    let range: Range<Int>
    /// Its members in order.
    let members: [Member]
    /// The members of the member `targets`, when that is an object.
    let targets: TargetIndex?

    /// The bytes that are signed.
    public var canonical: ArraySlice<UInt8> { self.bytes[self.range] }

    /// All of it as a value.
    public var value: JSONValue { self.value { _ in nil } }

    /// All of it as a value, but for members that are replaced.
    func value(replacing replacement: (String) -> JSONValue?) -> JSONValue {
        let bytes = self.bytes.span.bytes
        var members: [(key: String, value: JSONValue)] = []
        for member in self.members {
            let value = replacement(member.name) ?? CanonicalReader.value(at: member.position, in: bytes)
            members.append((member.name, value ?? .null))
        }
        return .object(ByteOrderedMap(sorted: members))
    }

    /// One member as a value; nil when it is not there.
    subscript(name: String) -> JSONValue? {
        guard let member = self.members.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else { return nil }
        return CanonicalReader.value(at: member.position, in: self.bytes.span.bytes)
    }
}

extension SignedObject {
    /// Finds the object that begins at an offset of a file, if it lies there in canonical form.
    /// - Returns: nil when it does not.
    init?(inFile bytes: [UInt8], at position: Int, format: WireFormat) {
        self.init(
            bytes,
            CanonicalScanner(at: position, allowsControlCharacters: false),
            depth: 1,
            format: format
        )
    }

    /// Takes canonical JSON.
    /// - Returns: nil when it is not an object.
    init?(canonical bytes: [UInt8], format: WireFormat) {
        self.init(bytes, CanonicalScanner(at: 0, allowsControlCharacters: true), depth: 1, format: format)
    }

    private init?(_ bytes: [UInt8], _ scanner: CanonicalScanner, depth: Int, format: WireFormat) {
        // Places in it are kept in 32 bits.
        guard bytes.count <= UInt32.max else { return nil }
        var scanner = scanner
        let start = scanner.position
        var members: [Member] = []
        var targets: TargetIndex?
        let span = bytes.span.bytes
        guard scanner.skip(UInt8(ascii: "{"), span) else { return nil }
        if !scanner.skip(UInt8(ascii: "}"), span) {
            var previous: CanonicalText?
            repeat {
                guard let text = scanner.name(span, after: previous) else { return nil }
                previous = text
                let name = text.string(in: span)
                members.append(Member(name: name, position: scanner.position))
                if name == "targets", scanner.position < span.byteCount,
                    span.byte(scanner.position) == UInt8(ascii: "{")
                {
                    targets = TargetIndex(bytes, &scanner, depth: depth + 1, format: format)
                    guard targets != nil else { return nil }
                } else {
                    guard scanner.value(span, depth: depth + 1) else { return nil }
                }
            } while scanner.skip(UInt8(ascii: ","), span)
            guard scanner.skip(UInt8(ascii: "}"), span) else { return nil }
        }
        self.bytes = bytes
        self.range = start..<scanner.position
        self.members = members
        self.targets = targets
    }
}
