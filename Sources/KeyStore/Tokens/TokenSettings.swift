// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Which hardware token to use: the library that its vendor has for it, and what tells it from others.
package struct TokenSettings: Sendable, Hashable {
    /// Names the library (PKCS#11 module).
    package static let moduleVariable = "HALLMARK_PKCS11_MODULE"
    /// Names the token: its label, its serial number, or a `pkcs11:` URI (RFC 7512).
    package static let tokenVariable = "HALLMARK_PKCS11_TOKEN"
    /// The PIN.
    package static let pinVariable = "HALLMARK_PKCS11_PIN"

    /// The library's path.
    package let modulePath: String
    /// The PIN, where the environment has it. It is not shown, and goes before all other sources.
    let pin: Passphrase?
    /// What the token must be; nil for the only one that there is.
    private let selection: Selection?

    private enum Selection: Sendable, Hashable {
        case labelOrSerial(String)
        case attributes([String: String])
    }

    /// - Parameter environment: the process's variables.
    /// - Returns: nil when no module is named: no token is used then.
    /// - Throws: ``KeyStoreError`` with code `token` for a URI that cannot be read, or a token without a module.
    package init?(environment: [String: String]) throws {
        self.pin = environment[Self.pinVariable].flatMap { $0.isEmpty ? nil : Passphrase($0) }
        let module = environment[Self.moduleVariable].flatMap { $0.isEmpty ? nil : $0 }
        guard let token = environment[Self.tokenVariable], !token.isEmpty else {
            guard let module else { return nil }
            self.modulePath = module
            self.selection = nil
            return
        }
        var attributes: [String: String]?
        if token.lowercased().hasPrefix("pkcs11:") { attributes = try Self.attributes(of: token) }
        guard let path = module ?? attributes?["module-path"] else {
            throw KeyStoreError(
                .token,
                "\(Self.tokenVariable) names a token, but \(Self.moduleVariable) does not name the library of its vendor"
            )
        }
        self.modulePath = path
        attributes?["module-path"] = nil
        self.selection = attributes.map { .attributes($0) } ?? .labelOrSerial(token)
    }

    /// Whether a token was named: without, there may be one only.
    var namesToken: Bool { self.selection != nil }

    func selects(_ slot: CryptokiModule.Slot) -> Bool {
        switch self.selection {
        case nil: true
        case .labelOrSerial(let text): slot.label == text || slot.serial == text
        case .attributes(let attributes):
            attributes.allSatisfy { name, value in
                switch name {
                case "token": slot.label == value
                case "serial": slot.serial == value
                case "manufacturer": slot.manufacturer == value
                case "model": slot.model == value
                case "slot-id": UInt(value) == slot.number
                default: false
                }
            }
        }
    }

    /// The attributes of a `pkcs11:` URI that choose a token, and `module-path`.
    private static func attributes(of uri: String) throws -> [String: String] {
        func refuse(_ reason: String) -> KeyStoreError {
            KeyStoreError(.token, "\(self.tokenVariable): \(uri.prefix(300)): \(reason)")
        }
        let parts = uri.dropFirst(7).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var attributes: [String: String] = [:]
        let places = [(parts.first, ";"), (parts.dropFirst().first, "&")]
        for (part, separator) in places {
            for attribute in (part ?? "").split(separator: Character(separator)) {
                guard let equals = attribute.firstIndex(of: "=") else { throw refuse("\(attribute) has no value") }
                let name = String(attribute[..<equals])
                guard let value = String(attribute[attribute.index(after: equals)...]).removingPercentEncoding else {
                    throw refuse("\(name) is not percent-encoded as it must be")
                }
                let known =
                    separator == ";" ? ["token", "serial", "manufacturer", "model", "slot-id"] : ["module-path"]
                guard known.contains(name) else {
                    throw refuse(
                        name.hasPrefix("pin-")
                            ? "a PIN comes from \(self.pinVariable) or a terminal"
                            : "\(name) does not choose a token: token, serial, manufacturer, model and slot-id do"
                    )
                }
                guard attributes.updateValue(value, forKey: name) == nil else { throw refuse("\(name) comes twice") }
            }
        }
        return attributes
    }
}
