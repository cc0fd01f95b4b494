// SPDX-License-Identifier: Apache-2.0

extension TrustedCollection {
    /// The delegation that a trusted role makes to another: what its metadata has to be verified with, for who knows which
    /// roles there are without looking for a target.
    /// - Parameters:
    ///   - role: the role that is delegated to.
    ///   - delegator: the delegation by which the delegating role is trusted; nil for `targets`.
    /// - Throws: ``TUFError`` with code `notDelegated` when there is no such delegation, `order` when the delegator is not
    ///   trusted yet.
    public func delegation(to role: RoleName, by delegator: TrustedDelegation?) throws -> TrustedDelegation {
        guard let trusted = delegator.map({ self.targets($0) }) ?? self.targets[.targets] else {
            throw TUFError(.order, "\(delegator?.role ?? .targets) is not trusted yet")
        }
        guard let delegated = trusted.payload.delegations[role] else {
            throw TUFError(.notDelegated, role: role, "is not delegated by \(delegator?.role ?? .targets)")
        }
        return self.delegation(to: delegated, in: trusted.payload.delegations)
    }
}
