// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import TUF

/// What a collection's root has to have before it is trusted: somebody said so before its server was asked.
package struct RootPin: Sendable, Hashable {
    /// Whom it has to come from.
    package enum Anchor: Sendable, Hashable {
        /// One of these keys must have signed it (ids of root certificates).
        case keyIDs(Set<KeyID>)
        /// A certificate that leads to one of these authorities.
        case authorities(CertificateAuthorities)
    }

    /// Whom the root has to come from.
    package let anchor: Anchor
    /// Where this is said, for messages.
    package let origin: String
    /// Whether a root that is known already has to lead back to the pin, too. Notary asks for it only when none is known.
    package let isBinding: Bool

    /// Makes a pin.
    package init(_ anchor: Anchor, origin: String, isBinding: Bool) {
        self.anchor = anchor
        self.origin = origin
        self.isBinding = isBinding
    }

    /// Whether a root key is one that this names.
    package func admits(_ key: PublicKey, at now: Date) async -> Bool {
        switch self.anchor {
        case .keyIDs(let ids): ids.contains(key.id)
        case .authorities(let authorities): await authorities.vouch(for: key, at: now)
        }
    }

    /// What it names, for people.
    package var summary: String {
        switch self.anchor {
        case .keyIDs(let ids): ids.isEmpty ? "no key" : ids.sorted().map(\.text).joined(separator: ", ")
        case .authorities: "certificates of its CA"
        }
    }
}

extension [RootPin] {
    /// The keys of a root that all pins name; empty where one of them names none of them.
    func admitted(_ keys: [PublicKey], at now: Date) async -> [PublicKey] {
        var admitted: [PublicKey] = []
        for key in keys {
            var isAdmitted = true
            for pin in self where isAdmitted { isAdmitted = await pin.admits(key, at: now) }
            if isAdmitted { admitted.append(key) }
        }
        return admitted
    }

    /// Always the same for the same pins.
    var fingerprint: [UInt8] {
        var bytes: [UInt8] = []
        for pin in self {
            switch pin.anchor {
            case .keyIDs(let ids): bytes += ids.sorted().map(\.text).joined(separator: ",").utf8
            case .authorities(let authorities): bytes += authorities.pem
            }
            bytes.append(0)
        }
        return bytes
    }
}
