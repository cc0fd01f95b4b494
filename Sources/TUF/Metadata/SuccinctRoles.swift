// SPDX-License-Identifier: Apache-2.0

/// Delegated roles that share the target paths out among themselves by hash, with the same keys for all (TAP 15): hash bins
/// that are described once instead of one by one.
public struct SuccinctRoles: Sendable, Hashable {
    /// Who signs for each of them.
    public var definition: RoleDefinition
    /// There are two to the power of this many roles; 1 to 32.
    public let bitLength: Int
    /// What every name begins with, before a hyphen and the role's number.
    public let namePrefix: String

    /// Makes roles.
    /// - Returns: nil when the number of bits is not from 1 to 32, or the prefix is empty.
    public init?(definition: RoleDefinition, bitLength: Int, namePrefix: String) {
        guard (1...32).contains(bitLength), !namePrefix.isEmpty else { return nil }
        self.definition = definition
        self.bitLength = bitLength
        self.namePrefix = namePrefix
    }

    /// How many roles there are.
    public var count: Int { 1 << self.bitLength }

    /// The digits of a number: as many as the largest has.
    private var width: Int { (self.bitLength + 3) / 4 }

    /// The name of a role by its number, which must be from 0 to ``count``.
    public func name(_ number: Int) -> RoleName {
        let digits = String(number, radix: 16)
        let zeros = String(repeating: "0", count: max(0, self.width - digits.utf8.count))
        return RoleName("\(self.namePrefix)-\(zeros)\(digits)")
    }

    /// The role that may hold a path.
    public func role(for path: String) -> DelegatedRole {
        let bits = PathHash.digest(path).prefix(4).reduce(0) { $0 << 8 | Int($1) }
        return self.role(bits >> (32 - self.bitLength))
    }

    /// The role of a name; nil when it is none of these.
    public subscript(name: RoleName) -> DelegatedRole? {
        let prefix = Array((self.namePrefix + "-").utf8)
        let digits = name.text.utf8.dropFirst(prefix.count)
        guard name.text.utf8.starts(with: prefix), digits.count == self.width,
            let number = Int(String(decoding: digits, as: UTF8.self), radix: 16), (0..<self.count).contains(number),
            self.name(number) == name
        else { return nil }
        return self.role(number)
    }

    /// A role, with the hash prefixes that its number stands for: they end on a whole digit, so there may be up to eight.
    private func role(_ number: Int) -> DelegatedRole {
        let spare = self.width * 4 - self.bitLength
        let prefixes = (0..<(1 << spare)).map { rest in
            let digits = String(number << spare | rest, radix: 16)
            return String(repeating: "0", count: max(0, self.width - digits.utf8.count)) + digits
        }
        return DelegatedRole(
            name: self.name(number),
            definition: self.definition,
            paths: prefixes,
            matching: .hashPrefixes,
            isTerminating: true
        )
    }
}
