// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
import TUF

/// Finds out what of a collection expires when.
enum CollectionExpiries {
    /// Of a root and of the certificates that its keys are.
    static func of(_ root: Root) -> [(kind: ExpiryKind, role: RoleName, at: Int64)] {
        var found = [(kind: ExpiryKind.root, role: RoleName.root, at: root.expires.seconds)]
        if let certificates = Self.certificates(of: root) {
            found.append((kind: .rootCertificate, role: .root, at: certificates))
        }
        return found
    }

    /// Of `targets`, or of a role that something is delegated to.
    static func of(_ role: RoleName, _ targets: Targets) -> (kind: ExpiryKind, role: RoleName, at: Int64) {
        (kind: role == .targets ? .targets : .delegation, role: role, at: targets.expires.seconds)
    }

    /// When fewer certificates are in force than the root's threshold asks for; nil when its keys are none.
    private static func certificates(of root: Root) -> Int64? {
        guard let keys = try? root.keys(of: .root) else { return nil }
        let ends = keys.keys.compactMap(\.certificate).map { Int64($0.notAfter.timeIntervalSince1970.rounded(.down)) }
            .sorted(by: >)
        guard keys.threshold > 0, ends.count >= keys.threshold else { return nil }
        return ends[keys.threshold - 1]
    }
}

extension UpdateValidation {
    /// When what was uploaded expires, which is its publisher's to mend.
    func expiries(_ levels: ExpiryLevels) -> [RecordedExpiry] {
        var found: [(kind: ExpiryKind, role: RoleName, at: Int64)] = []
        if self.upload.files[.root] != nil { found += CollectionExpiries.of(self.root.payload) }
        for role in self.upload.targetsRoles {
            guard let targets = self.targets[role]?.metadata.payload else { continue }
            found.append(CollectionExpiries.of(role, targets))
        }
        if let snapshot = self.snapshot {
            found.append((kind: .snapshot, role: .snapshot, at: snapshot.payload.expires.seconds))
        }
        let now = Int64(self.now.timeIntervalSince1970.rounded(.down))
        return found.map {
            RecordedExpiry(
                kind: $0.kind,
                role: $0.role,
                expiresAt: $0.at,
                warnAt: levels.warning(ofNew: $0.at, now: now)
            )
        }
    }

    /// What the uploaded roles delegate to.
    var delegations: [RoleName: Set<RoleName>] {
        self.upload.targetsRoles.reduce(into: [:]) { found, role in
            guard let targets = self.targets[role]?.metadata.payload else { return }
            found[role] = Set(targets.delegations.roles.map(\.name))
        }
    }
}
