// SPDX-License-Identifier: Apache-2.0

import Ceremony
import FoundationEssentials
import TUF

/// Reads a whole repository as a client does that knows its first root alone.
struct RepositoryAudit {
    private let files: any RepositoryFiles
    private var client: TrustedCollection
    private(set) var roleCount = 0
    private(set) var fileCount = 0
    private(set) var absent: [String] = []

    init(_ files: any RepositoryFiles, at now: Date) {
        self.files = files
        self.client = TrustedCollection(trust: .succession, format: .tuf, at: now)
    }

    private var isConsistent: Bool { self.client.root?.payload.consistentSnapshot ?? true }

    mutating func run(checksContent: Bool) throws {
        try self.readRoots()
        try self.client.updateTimestamp(try self.read(.timestamp, version: 1))
        try self.client.updateSnapshot(try self.read(.snapshot))
        try self.client.updateTargets(.targets, try self.read(.targets))
        self.roleCount += 2
        var queue = [try self.client.topLevelTargets]
        var seen = Set(queue)
        var next = 0
        while next < queue.count {
            let delegation = queue[next]
            next += 1
            self.roleCount += 1
            guard let targets = self.client.targets(delegation) else { continue }
            if checksContent { try self.checkContent(targets.payload) }
            let children = self.client.delegations(in: delegation)
            let delegations = targets.payload.delegations
            let count = delegations.succinctRoles?.count ?? delegations.roles.count
            guard children.count == count else {
                throw TUFError(
                    .notDelegated,
                    role: delegation.role,
                    "delegates to \(count) roles, of which \(children.count) are listed in the snapshot"
                )
            }
            for child in children where seen.insert(child).inserted {
                try self.client.updateTargets(child, try self.read(child.role))
                queue.append(child)
            }
        }
    }

    private mutating func readRoots() throws {
        try self.client.rememberRoot(try self.read(.root, version: 1))
        self.roleCount += 1
        while let version = self.client.root?.payload.version,
            let bytes = try self.files.read(
                RepositoryLayout.metadata(.root, version: version + 1),
                limit: WireFormat.rootLimit
            )
        {
            try self.client.updateRoot(bytes)
            self.roleCount += 1
        }
        try self.client.requireCurrentRoot()
    }

    private func read(_ role: RoleName, version: Int64? = nil) throws -> [UInt8] {
        let version = version ?? self.client.listed(role)?.version ?? 0
        let isVersioned = role == .root || self.isConsistent
        let path = isVersioned ? RepositoryLayout.metadata(role, version: version) : RepositoryLayout.copy(role)
        return try WorkingCopy.required(path, in: self.files)
    }

    private mutating func checkContent(_ targets: Targets) throws {
        for (path, file) in targets.targets {
            try RepositoryLayout.check(targetPath: path)
            for name in RepositoryLayout.names(of: path, file, isConsistent: self.isConsistent) {
                var verifier = try ContentVerifier(file, format: .tuf)
                let isThere = try self.files.stream(name) { try verifier.update($0) }
                guard isThere else {
                    if self.absent.last != path { self.absent.append(path) }
                    continue
                }
                do {
                    try verifier.finish()
                } catch let error as TUFError {
                    throw TUFError(error.code, "\(name): \(error.message)")
                }
                self.fileCount += 1
            }
        }
    }
}
