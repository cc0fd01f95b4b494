// SPDX-License-Identifier: Apache-2.0

import TUF

/// What a key on a token is called: `hallmark:ROLE:GUN`, so that role and collection show without a PIN.
struct TokenKeyLabel: Sendable, Hashable {
    private static let prefix = "hallmark:"
    private static let maximumLength = 512

    let role: RoleName
    let gun: String?

    /// - Throws: ``KeyStoreError`` with code `invalidName` for a role that would be read as another.
    init(role: RoleName, gun: String?) throws {
        self.role = role
        self.gun = KeyAttributes.belongsToCollection(role) ? gun : nil
        try KeyAttributes(role: role, gun: gun).check()
        guard !role.text.contains(":"), self.text.utf8.count <= Self.maximumLength else {
            throw KeyStoreError(.invalidName, "a key of \(role.text.prefix(64)) cannot be named on a token")
        }
    }

    /// Reads a label. A key that others have put there has no role.
    init(_ text: String) {
        let rest = text.dropFirst(Self.prefix.count)
        guard text.hasPrefix(Self.prefix), let colon = rest.firstIndex(of: ":") else {
            self.role = RoleName("")
            self.gun = nil
            return
        }
        self.role = RoleName(String(rest[..<colon]))
        let gun = String(rest[rest.index(after: colon)...])
        self.gun = gun.isEmpty ? nil : gun
    }

    var text: String { "\(Self.prefix)\(self.role):\(self.gun ?? "")" }
}
