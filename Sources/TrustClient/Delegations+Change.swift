// SPDX-License-Identifier: Apache-2.0

import TUF

extension Delegations {
    /// Removes a role, and keys that no other role here uses.
    mutating func remove(_ role: RoleName) {
        self.roles.removeAll { $0.name == role }
        self.removeUnusedKeys()
    }

    /// Changes a role, or makes it, behind those that are there.
    /// - Parameter keepsThreshold: whether a role that is there keeps its threshold. `notary` names 1 each time that it adds a
    ///   key, and means it for a new role alone: what was raised must not fall by that.
    /// - Throws: ``TrustClientError`` with code `invalid` for a key that could never verify.
    mutating func change(_ name: RoleName, _ change: DelegationChange, keepsThreshold: Bool = false) throws {
        let known = self[name]
        var role = known ?? DelegatedRole(name: name, definition: RoleDefinition(keyIDs: []), paths: [])
        if let threshold = change.threshold, known == nil || !keepsThreshold {
            guard threshold >= 1 else { throw TrustClientError(.invalid, "\(name): a threshold must be 1 or more") }
            role.definition.threshold = threshold
        }
        let gone = Set(change.removeKeys)
        role.definition.keyIDs.removeAll { id in
            gone.contains(id) || (self.keys[id.text].flatMap { try? $0.canonicalID }).map { gone.contains($0) } ?? false
        }
        for key in change.addKeys {
            do {
                // A key that cannot be read would be a delegation that nobody can sign for.
                _ = try key.canonicalID
            } catch {
                throw TrustClientError(.invalid, "\(name): the key \(key.id) cannot be added: \(error)")
            }
            self.keys[key.id.text] = key
            if !role.definition.keyIDs.contains(key.id) { role.definition.keyIDs.append(key.id) }
        }
        if change.clearPaths { role.paths = [] }
        role.paths.removeAll { path in change.removePaths.contains { $0.utf8.elementsEqual(path.utf8) } }
        for path in change.addPaths where !role.paths.contains(where: { $0.utf8.elementsEqual(path.utf8) }) {
            role.paths.append(path)
        }
        if let index = self.roles.firstIndex(where: { $0.name == name }) {
            self.roles[index] = role
        } else {
            self.roles.append(role)
        }
        self.removeUnusedKeys()
    }

    private mutating func removeUnusedKeys() {
        let used = Set(self.roles.flatMap(\.definition.keyIDs).map(\.text))
        self.keys = self.keys.filter { used.contains($0.key) }
    }
}
