// SPDX-License-Identifier: Apache-2.0

package import TUF

/// How long metadata of a repository is valid, and how long before its end it is signed again: the file `repository.json`.
package struct RepositorySettings: Sendable, Hashable {
    /// One role's times, in seconds.
    package struct Period: Sendable, Hashable {
        /// From signing to expiry.
        package var validity: Int64
        /// Before the expiry, when the role is due to be signed again.
        package var margin: Int64

        /// Makes times; the margin is a third of the validity by default.
        package init(validity: Int64, margin: Int64? = nil) {
            self.validity = validity
            self.margin = margin ?? validity / 3
        }
    }

    /// The longest validity, in seconds: a hundred years.
    package static let maximumValidity: Int64 = 100 * 366 * 86400

    private static let defaults: [RoleName: Period] = [
        .root: Period(validity: 365 * 86400), .targets: Period(validity: 90 * 86400),
        .snapshot: Period(validity: 7 * 86400), .timestamp: Period(validity: 86400),
    ]

    private var periods: [RoleName: Period]

    /// The defaults: a year for the root, 90 days for targets, a week for the snapshot, a day for the timestamp.
    package init() {
        self.periods = Self.defaults
    }

    /// The times of a role; a delegated role has those of `targets` unless it has its own.
    package subscript(role: RoleName) -> Period {
        get { self.periods[role] ?? self.periods[.targets] ?? Period(validity: 90 * 86400) }
        set { self.periods[role] = newValue }
    }

    /// Reads the file.
    /// - Throws: ``RepositoryError`` with code `malformed`.
    init(_ bytes: [UInt8]) throws {
        self.init()
        guard let periods = (try? JSONParser.parse(bytes))?["periods"]?.object else {
            throw RepositoryError(.malformed, "\(RepositoryLayout.settings) must have an object \"periods\"")
        }
        for (name, value) in periods {
            guard let validity = value["validity"]?.integer, (1...Self.maximumValidity).contains(validity),
                let margin = value["margin"]?.integer, (0..<validity).contains(margin)
            else {
                throw RepositoryError(
                    .malformed,
                    "\(RepositoryLayout.settings): \(name.prefix(64)) must have a validity in seconds of 1 or more, and a margin "
                        + "below it"
                )
            }
            self.periods[RoleName(name)] = Period(validity: validity, margin: margin)
        }
    }

    /// The file.
    var bytes: [UInt8] {
        var periods = ByteOrderedMap<JSONValue>()
        for (role, period) in self.periods {
            periods[role.text] = ["margin": .integer(period.margin), "validity": .integer(period.validity)]
        }
        return CanonicalJSON.encodeForWire(["periods": .object(periods)])
    }
}
