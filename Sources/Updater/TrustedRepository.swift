// SPDX-License-Identifier: Apache-2.0

public import TUF

/// A target, and who says so.
public struct TargetInfo: Sendable, Hashable {
    /// The target's path.
    public let path: TargetPath
    /// Which bytes it names: their number and hashes, and what the publisher says of them.
    public let file: TargetFile
    /// The role that lists it: `targets`, or a delegated one.
    public let role: RoleName
}

/// A repository as it was verified at one moment, for as long as the value is kept.
///
/// Whatever is looked up in it belongs to the snapshot of that moment, and is compared with the clock as it stood then. For
/// what is newer, refresh the ``Updater`` again. Delegated roles are loaded from disk or transport as they are needed, and
/// kept in the value, which is why looking up changes it; copies are independent.
public struct TrustedRepository: Sendable {
    private var update: RepositoryUpdate

    init(_ update: RepositoryUpdate) {
        self.update = update
    }

    /// What is verified of it so far.
    package var trusted: TrustedCollection { self.update.trusted }
    /// Whether the repository was asked, and may be asked for more; false where it was read from disk alone.
    public var isFromRepository: Bool { self.update.isOnline }

    var updater: Updater { self.update.updater }

    /// Verifies at once what a refresh that found nothing new has left for the first look-up: the snapshot and the top-level
    /// targets. What is found damaged is fetched anew.
    /// - Throws: ``UpdaterError``, as ``Updater/refresh()``.
    public mutating func verify() async throws {
        try await UpdaterError.refusing { try await self.update.settle() }
    }

    /// Looks a target up, loading the delegated roles that may hold it (specification section 5.6.7).
    /// - Parameter path: its path, as metadata has it.
    /// - Throws: ``UpdaterError`` with code `notSigned` when no role that may hold it lists it, `invalid` for a path that is
    ///   none; others when metadata that decides it cannot be had or must not be trusted.
    public mutating func find(_ path: String) async throws -> TargetInfo {
        let path = try TargetPath(path)
        try await self.verify()
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
    /// - Throws: ``UpdaterError`` when any role cannot be had or must not be trusted.
    public mutating func list() async throws -> [TargetInfo] {
        try await self.verify()
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
