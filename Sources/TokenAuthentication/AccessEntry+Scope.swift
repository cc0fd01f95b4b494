// SPDX-License-Identifier: Apache-2.0

extension AccessEntry {
    /// The longest scope that is looked at, in bytes.
    package static let maximumScopeLength = 16 * 1024
    /// The most resources of one scope.
    package static let maximumCount = 64
    /// The longest name of a resource, in bytes: 255 characters and a host.
    package static let maximumNameLength = 1280
    /// The most actions on one resource.
    package static let maximumActionCount = 16

    /// Reads one resource and its actions: `repository:name:pull,push`, `repository(plugin):name:pull`.
    ///
    /// A name may hold colons (`example.org:5000/app`): the type ends at the first, the actions begin after the last.
    /// - Throws: ``TokenError`` with code `scope`.
    package init(scope: some StringProtocol) throws(TokenError) {
        let bytes = Substring(scope).utf8
        guard bytes.count <= Self.maximumScopeLength else {
            throw Self.refuse("longer than \(Self.maximumScopeLength) bytes")
        }
        guard let first = bytes.firstIndex(of: UInt8(ascii: ":")), let last = bytes.lastIndex(of: UInt8(ascii: ":")),
            first < last
        else { throw Self.refuse("\"\(scope.prefix(64))\" is not of the form type:name:action,action") }
        let (type, resourceClass) = try Self.type(bytes[..<first])
        let name = bytes[first..<last].dropFirst()
        guard !name.isEmpty, name.count <= Self.maximumNameLength, name.allSatisfy(Self.isOfName) else {
            throw Self.refuse(
                "a name must have 1 to \(Self.maximumNameLength) bytes without spaces, quotes and control characters"
            )
        }
        let actions = bytes[last...].dropFirst().split(separator: UInt8(ascii: ","))
        guard actions.count <= Self.maximumActionCount, actions.allSatisfy(Self.isAction) else {
            throw Self.refuse("at most \(Self.maximumActionCount) actions, each of small letters or *")
        }
        self.init(
            type: type,
            class: resourceClass,
            name: "\(Substring(name))",
            actions: actions.map { "\(Substring($0))" }
        )
    }

    /// Reads a list that is separated by spaces. An empty text is an empty list.
    /// - Throws: ``TokenError`` with code `scope`.
    package static func list(scope: some StringProtocol) throws(TokenError) -> [AccessEntry] {
        let text = Substring(scope)
        guard text.utf8.count <= self.maximumScopeLength else {
            throw self.refuse("longer than \(self.maximumScopeLength) bytes")
        }
        let items = text.split(separator: " ")
        guard items.count <= self.maximumCount else { throw self.refuse("more than \(self.maximumCount) resources") }
        var entries: [AccessEntry] = []
        for item in items { entries.append(try AccessEntry(scope: item)) }
        return entries
    }

    /// As it is written in a scope.
    package var scope: String {
        "\(self.type)\(self.resourceClass.map { "(\($0))" } ?? ""):\(self.name):\(self.actions.joined(separator: ","))"
    }

    /// Several, separated by spaces.
    package static func scope(of entries: some Sequence<AccessEntry>) -> String {
        entries.map(\.scope).joined(separator: " ")
    }

    private static func type(
        _ bytes: Substring.UTF8View.SubSequence
    ) throws(TokenError) -> (type: String, resourceClass: String?) {
        var type = bytes
        var resourceClass: Substring.UTF8View.SubSequence?
        if bytes.last == UInt8(ascii: ")"), let parenthesis = bytes.firstIndex(of: UInt8(ascii: "(")) {
            type = bytes[..<parenthesis]
            resourceClass = bytes[parenthesis...].dropFirst().dropLast()
        }
        guard [type, resourceClass ?? type].allSatisfy({ (1...32).contains($0.count) && $0.allSatisfy(self.isOfType) })
        else { throw self.refuse("a type is a word of small letters and digits, perhaps with (class)") }
        return ("\(Substring(type))", resourceClass.map { "\(Substring($0))" })
    }

    private static func isOfType(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte != 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func isAction(_ action: Substring.UTF8View.SubSequence) -> Bool {
        action.elementsEqual("*".utf8)
            || (action.count <= 32 && action.allSatisfy { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) })
    }

    private static func refuse(_ reason: String) -> TokenError {
        TokenError(.scope, "the scope cannot be read: \(reason)")
    }
}
