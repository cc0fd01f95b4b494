// SPDX-License-Identifier: Apache-2.0

import PercentEncoding
package import TUF

/// The name of a file that holds one version of a role's metadata: `VERSION.ROLE.json`, the role percent-encoded.
package struct VersionedName: Sendable, Hashable {
    /// The version, 1 or more.
    package let version: Int64
    /// The role.
    package let role: RoleName

    /// Takes the parts.
    package init(_ role: RoleName, version: Int64) {
        self.version = version
        self.role = role
    }

    /// Reads the name of a file; nil for any other name, and for other spellings of the same.
    package init?(_ name: String) {
        guard name.hasSuffix(".json"), let dot = name.firstIndex(of: "."), let version = Int64(name[..<dot]),
            version > 0, let role = PercentCoding.decode(name[name.index(after: dot)...].dropLast(5)), !role.isEmpty
        else { return nil }
        self.init(RoleName(role), version: version)
        guard self.text.utf8.elementsEqual(name.utf8) else { return nil }
    }

    /// The name.
    package var text: String { "\(self.version).\(PercentCoding.encode(self.role.text)).json" }
}
