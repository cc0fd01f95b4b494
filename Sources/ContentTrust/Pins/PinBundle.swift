// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import TUF
package import TrustClient

/// Pins for many collections, signed, to be placed on machines: which keys or authorities a root has to come from.
package struct PinBundle: Sendable, Hashable {
    /// Whose root is accepted under a name.
    package struct Pin: Sendable, Hashable {
        /// A collection's name, or a prefix that ends in `*`.
        package var match: String
        /// Whose root.
        package var anchor: RootPin.Anchor

        /// Makes a pin.
        package init(match: String, anchor: RootPin.Anchor) {
            self.match = match
            self.anchor = anchor
        }
    }

    /// `_type` of the signed object.
    static let type = "pins"
    private static let specification = "1.0"
    /// The most bytes of a bundle.
    package static let sizeLimit = 8 << 20
    /// The most pins of a bundle.
    private static let countLimit = 20_000

    /// What tells bundles apart: versions are counted for each name.
    package var name: String
    /// Rises with every change.
    package var version: Int64
    /// Until when it may be used.
    package var expires: Expiry
    /// The pins.
    package var pins: [Pin]
    /// Whether collections that are neither known nor pinned are refused.
    package var refusesFirstUse: Bool

    /// Makes a bundle without pins.
    package init(name: String, expires: Expiry, refusesFirstUse: Bool) throws {
        try Self.check(name: name)
        self.name = name
        self.version = 1
        self.expires = expires
        self.pins = []
        self.refusesFirstUse = refusesFirstUse
    }

    /// Reads what is, or is to be, signed.
    /// - Throws: `TUFError` with code `malformed` or `invalid`. A member that is not known is refused: it might be one that forbids.
    package init(_ content: JSONValue) throws {
        func refuse(_ reason: String) -> TUFError { TUFError(.malformed, "is no pin bundle: \(reason)") }
        guard let members = content.object else { throw refuse("what is signed is no object") }
        guard content["_type"] == .string(Self.type) else { throw refuse("_type is not \(Self.type)") }
        guard let specification = content["spec_version"]?.string, specification.hasPrefix("1.") else {
            throw refuse("spec_version is not 1.x")
        }
        let known = ["_type", "spec_version", "name", "version", "expires", "pins", "first_use"]
        if let other = members.keys.first(where: { !known.contains($0) }) {
            throw refuse("it has the member \(other.prefix(80)), which this version does not know")
        }
        guard let name = content["name"]?.string else { throw refuse("it has no name") }
        try Self.check(name: name)
        guard let version = content["version"]?.integer, version >= 1 else { throw refuse("it has no version") }
        guard let expires = content["expires"]?.string else { throw refuse("it has no expires") }
        guard let pins = content["pins"]?.array, pins.count <= Self.countLimit else {
            throw refuse("it has no pins, or more than \(Self.countLimit)")
        }
        switch content["first_use"] {
        case nil, .string("allow"): self.refusesFirstUse = false
        case .string("refuse"): self.refusesFirstUse = true
        default: throw refuse("first_use must be allow or refuse")
        }
        self.name = name
        self.version = version
        self.expires = try Expiry(parsing: expires)
        self.pins = try pins.map { try Self.pin($0, refuse) }
        guard Set(self.pins.map { Array($0.match.utf8) }).count == self.pins.count else {
            throw refuse("two pins have the same name")
        }
    }

    private static func pin(_ value: JSONValue, _ refuse: (String) -> TUFError) throws -> Pin {
        guard let match = value["match"]?.string, let members = value.object else { throw refuse("a pin has no match") }
        if let refusal = NameRules<String>.refusal(of: match) { throw refuse("\(match.prefix(80)): \(refusal)") }
        guard members.count == 2 else { throw refuse("the pin of \(match) must have match, and either keyids or ca") }
        if let ids = value["keyids"]?.array {
            let texts = ids.compactMap(\.string)
            guard !ids.isEmpty, texts.count == ids.count, texts.allSatisfy({ KeyID($0).isWellFormed }) else {
                throw refuse("keyids of \(match) must be ids of root keys")
            }
            return Pin(match: match, anchor: .keyIDs(Set(texts.map { KeyID($0) })))
        }
        guard let pem = value["ca"]?.string else { throw refuse("the pin of \(match) has neither keyids nor ca") }
        return Pin(match: match, anchor: .authorities(try CertificateAuthorities(pem: Array(pem.utf8))))
    }

    private static func check(name: String) throws {
        let isName =
            (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
            && name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || [45, 46, 95].contains(byte)
            }
        guard isName else {
            throw TUFError(
                .invalid,
                "\(name.prefix(80)) is no name of a pin bundle: letters, digits, -, _ and ., 64 at most"
            )
        }
    }

    /// What is signed.
    package var content: JSONValue {
        let pins = self.pins.sorted { $0.match.utf8.lexicographicallyPrecedes($1.match.utf8) }.map { pin -> JSONValue in
            switch pin.anchor {
            case .keyIDs(let ids):
                ["match": .string(pin.match), "keyids": .array(ids.sorted().map { .string($0.text) })]
            case .authorities(let authorities):
                ["match": .string(pin.match), "ca": .string(String(decoding: authorities.pem, as: UTF8.self))]
            }
        }
        return [
            "_type": .string(Self.type), "spec_version": .string(Self.specification), "name": .string(self.name),
            "version": .integer(self.version), "expires": .string(self.expires.text), "pins": .array(pins),
            "first_use": .string(self.refusesFirstUse ? "refuse" : "allow"),
        ]
    }

    /// The pin for a collection: that of exactly its name, else of the longest prefix.
    package func pin(for gun: String) -> Pin? {
        var rules = NameRules<RootPin.Anchor>()
        for pin in self.pins { rules.add(pin.match, pin.anchor, origin: "") }
        return rules.rule(for: gun).map { Pin(match: $0.pattern, anchor: $0.value) }
    }

    /// - Throws: `TrustClientError` with code `expired`.
    package func requireCurrent(at now: Date, path: String) throws {
        guard self.expires < Expiry(now) else { return }
        throw TrustClientError(
            .expired,
            "\(path): the pin bundle \(self.name), version \(self.version), expired on \(self.expires): until a newer version is "
                + "in its place, nothing is trusted here. Ask who signs it"
        )
    }
}

/// A pin bundle in a file, with its signatures.
package struct PinBundleFile: Sendable {
    /// The bundle, not to be believed before `verify(by:path:)`.
    package let bundle: PinBundle
    /// The file.
    package let document: SignedDocument

    /// Parses a file.
    /// - Throws: `TrustClientError` with code `signature` that names the file.
    package init(_ bytes: [UInt8], path: String) throws {
        do {
            self.document = try SignedDocument(bytes)
            self.bundle = try PinBundle(self.document.content)
        } catch let error as TUFError {
            throw TrustClientError(error, context: path)
        }
    }

    /// Writes a bundle that nobody has signed yet.
    package init(_ bundle: PinBundle) throws {
        self.bundle = bundle
        self.document = try SignedDocument(unsigned: bundle.content)
    }

    private init(_ bundle: PinBundle, _ document: SignedDocument) {
        self.bundle = bundle
        self.document = document
    }

    /// The same with further signatures.
    package func adding(signaturesOf keys: [any SigningKey]) async throws -> PinBundleFile {
        PinBundleFile(self.bundle, try await self.document.adding(signaturesOf: keys))
    }

    /// Checks that enough keys have signed it.
    /// - Returns: the ids of those that did.
    /// - Throws: `TrustClientError` with code `signature`.
    @discardableResult
    package func verify(by signers: PinSigners, path: String) throws -> [KeyID] {
        do {
            return try self.document.verify(by: signers.keys)
        } catch let error as TUFError {
            throw TrustClientError(error, context: path)
        }
    }
}

/// Whose signatures pin bundles need.
package struct PinSigners: Sendable {
    /// The keys, and how many of them must sign.
    package let keys: RoleKeys

    /// Takes public keys.
    /// - Throws: `TrustClientError` with code `signature` when fewer keys than must sign are there.
    package init(_ keys: [PublicKey], threshold: Int) throws {
        guard threshold >= 1, keys.count >= threshold else {
            throw TrustClientError(
                .signature,
                "\(threshold) signatures are asked for of \(keys.count) keys of pin bundles: name the keys in pin_bundles of "
                    + "client.yaml, or with --key FILE"
            )
        }
        do {
            let keys = try keys.map { try $0.spelled(in: .tuf) }
            self.keys = RoleKeys(role: RoleName(PinBundle.type), keys: keys, threshold: threshold)
        } catch let error as TUFError {
            throw TrustClientError(error)
        }
    }
}
