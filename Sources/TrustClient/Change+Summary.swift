// SPDX-License-Identifier: Apache-2.0

import TUF

extension Change {
    /// One line for people.
    package var summary: String {
        switch (self.subject, self.action) {
        case (.target, .delete): "remove \(self.path) from \(self.role)"
        case (.target, _): "add \(self.path)\(self.size) to \(self.role)"
        case (.delegation, .delete): "remove the delegation \(self.role)"
        case (.delegation, _) where self.role == Self.allDelegations: "purge from all delegations: \(self.details)"
        case (.delegation, .create): "delegate to \(self.role): \(self.details)"
        case (.delegation, .update): "change the delegation \(self.role): \(self.details)"
        case (.witness, _): "sign \(self.role) again"
        case (.role, _): "change the keys of \(self.role)"
        }
    }

    private var size: String { (try? self.target()).map { " (\($0.length) bytes)" } ?? "" }

    /// What changes in a delegation.
    private var details: String {
        guard let change = try? self.delegation() else { return "what cannot be read" }
        func ids(_ ids: [KeyID]) -> String { ids.map(\.text).joined(separator: ", ") }
        func paths(_ paths: [String]) -> String {
            paths.map { $0.isEmpty ? "all" : "\"\($0)\"" }.joined(separator: ", ")
        }
        var parts: [String] = []
        if let threshold = change.threshold, change.addKeys.isEmpty { parts.append("threshold \(threshold)") }
        if !change.addKeys.isEmpty {
            parts.append("add the keys \(ids(change.addKeys.map { (try? $0.canonicalID) ?? $0.id }))")
        }
        if !change.removeKeys.isEmpty { parts.append("remove the keys \(ids(change.removeKeys))") }
        if change.clearPaths { parts.append("remove all paths") }
        if !change.removePaths.isEmpty { parts.append("remove the paths \(paths(change.removePaths))") }
        if !change.addPaths.isEmpty { parts.append("add the paths \(paths(change.addPaths))") }
        return parts.isEmpty ? "nothing" : parts.joined(separator: ", ")
    }
}

extension Change {
    /// Whether its custom data would keep `notary` from publishing the role ever after: Go signs `<`, `>`, `&` and two line
    /// separators in another form than it verifies.
    package var confusesNotary: Bool {
        guard self.subject == .target, let custom = try? self.target().custom else { return false }
        let bytes = CanonicalJSON.encode(custom)
        return bytes != CanonicalJSON.encodeForWire(custom)
    }
}
