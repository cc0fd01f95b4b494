// SPDX-License-Identifier: Apache-2.0

package import TUF

/// A target, and who says so.
package struct TargetInfo: Sendable, Hashable {
    /// The target's path.
    package let path: TargetPath
    /// Which bytes it names.
    package let file: TargetFile
    /// The role that lists it.
    package let role: RoleName
}

/// A repository as it was verified at one moment. Delegated roles are loaded from disk or transport as they are needed.
package struct TrustedRepository: Sendable {
    private var update: RepositoryUpdate

    init(_ update: RepositoryUpdate) {
        self.update = update
    }

    /// What is trusted of it.
    package var trusted: TrustedCollection { self.update.trusted }
    /// Whether the repository was asked, or only what is on disk.
    package var isFromRepository: Bool { self.update.isOnline }

    var updater: Updater { self.update.updater }

    /// Looks a target up, loading the delegated roles that may hold it.
    /// - Throws: ``UpdaterError`` with code `notSigned` when no role that may hold it lists it, `invalid` for a path that is
    ///   none; others when metadata that decides it cannot be had or must not be trusted.
    package mutating func find(_ path: String) async throws -> TargetInfo {
        let path = try TargetPath(path)
        guard let found = try await UpdaterError.refusing({ try await self.search(path) }) else {
            throw UpdaterError(.notSigned, "no role of the repository that may hold the target \(path) lists it")
        }
        return found
    }

    private mutating func search(_ path: TargetPath) async throws -> TargetInfo? {
        var search = DelegationSearch(for: path.text)
        while true {
            switch try search.next(in: self.update.trusted) {
            case .load(let delegation): try await self.update.loadTargets(delegation)
            case .found(let role, let file): return TargetInfo(path: path, file: file, role: role)
            case .end: return nil
            }
        }
    }

    /// All targets, sorted by path: each as ``find(_:)`` finds it. Every role is loaded for it. Targets whose paths cannot be
    /// used are left out.
    /// - Throws: ``UpdaterError``.
    package mutating func list() async throws -> [TargetInfo] {
        let paths = try await UpdaterError.refusing { try await self.listedPaths() }
        var found: [TargetInfo] = []
        for path in paths {
            guard let path = try? TargetPath(path) else { continue }
            if let target = try await UpdaterError.refusing({ try await self.search(path) }) { found.append(target) }
        }
        return found
    }

    /// The paths that any role lists, whether it may or not.
    private mutating func listedPaths() async throws -> [String] {
        var queue = [try self.trusted.topLevelTargets]
        var seen = Set(queue)
        var next = 0
        var paths: [String] = []
        while next < queue.count {
            guard next < WireFormat.delegationLimit else {
                throw TUFError(.tooLarge, "more than \(WireFormat.delegationLimit) delegated roles")
            }
            let delegation = queue[next]
            next += 1
            try await self.update.loadTargets(delegation)
            for (path, _) in self.trusted.targets(delegation)?.payload.targets ?? [:] { paths.append(path) }
            for child in self.trusted.delegations(in: delegation) where seen.insert(child).inserted {
                queue.append(child)
            }
        }
        paths.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        var unique: [String] = []
        for path in paths where !(unique.last?.utf8.elementsEqual(path.utf8) ?? false) { unique.append(path) }
        return unique
    }
}
