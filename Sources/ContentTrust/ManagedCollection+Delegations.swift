// SPDX-License-Identifier: Apache-2.0

package import TUF
package import TrustClient

extension Change {
    /// The changes that make a delegation, or give one more keys and paths, as `notary delegation add` stages them.
    /// - Parameters:
    ///   - paths: prefixes; an empty one is all paths.
    ///   - threshold: how many keys must sign; nil leaves it, or is 1.
    package static func delegate(
        to role: RoleName,
        keys: [PublicKey],
        paths: [String],
        threshold: Int64? = nil
    ) -> [Change] {
        var changes: [Change] = []
        if !keys.isEmpty { changes.append(.addKeys(keys, to: role)) }
        if !paths.isEmpty { changes.append(.addPaths(paths, to: role)) }
        if let threshold { changes.append(.setThreshold(threshold, of: role)) }
        return changes
    }

    /// The changes that take keys and paths from a delegation, or the delegation away when neither is named, as `notary delegation
    /// remove` stages them.
    /// - Parameters:
    ///   - keyIDs: canonical ids.
    ///   - paths: nil for all of them.
    package static func undelegate(
        _ role: RoleName,
        keyIDs: [KeyID],
        paths: [String]?,
        threshold: Int64? = nil
    ) -> [Change] {
        var changes: [Change] = []
        if paths?.isEmpty != true { changes.append(.removePaths(paths, from: role)) }
        if !keyIDs.isEmpty { changes.append(.removeKeys(keyIDs, from: role)) }
        if let threshold { changes.append(.setThreshold(threshold, of: role)) }
        return changes.isEmpty ? [.removeDelegation(role)] : changes
    }
}
