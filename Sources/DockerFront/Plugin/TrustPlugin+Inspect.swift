// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import OCI
import TUF
import TrustClient

extension TrustPlugin {
    /// `docker trust inspect`
    func inspect(_ names: [String], isPretty: Bool, _ tools: Tools) async throws {
        if isPretty {
            for (index, name) in names.enumerated() {
                self.console.write(InspectionText.text(try await self.inspection(of: name, tools)))
                if index < names.count - 1 { self.console.write("\n\n") }
            }
            return
        }
        var found: [TrustInspection] = []
        var failures: [String] = []
        for name in names {
            do {
                found.append(try await self.inspection(of: name, tools))
            } catch let failure as TrustPluginFailure {
                failures.append(failure.message ?? "")
            }
        }
        self.console.print(InspectionJSON.text(found))
        guard failures.isEmpty else { throw TrustPluginFailure(failures.joined(separator: "\n")) }
    }

    private func inspection(of name: String, _ tools: Tools) async throws -> TrustInspection {
        let argument: ImageArgument
        do {
            argument = try ImageArgument(name)
        } catch {
            throw TrustPluginFailure("\(error)")
        }
        let reference: ImageReference
        var tag: String?
        switch argument {
        case .tag(let named, let isComplete):
            reference = named
            tag = isComplete ? named.tag?.description : nil
        case .digest(let named): reference = named
        case .id: throw TrustPluginFailure("\(name) is no name of an image")
        }
        do {
            let repository = try await tools.images.inspect(reference)
            return TrustInspection(name, repository, tag: tag)
        } catch {
            // Docker says no more than this, and scripts compare it; the reason helps people.
            throw TrustPluginFailure(
                "no signatures or cannot access \(name)\n\(TerminalText.line("(\(error))"))"
            )
        }
    }
}

/// What is signed of an image, as `docker trust inspect` tells it.
struct TrustInspection: Sendable, Hashable {
    struct Row: Sendable, Hashable {
        let tag: String
        /// Hexadecimal, without the algorithm's name.
        let digest: String
        /// Those who signed it, besides the owner.
        let signers: [String]
    }

    struct Signer: Sendable, Hashable {
        let name: String
        let keys: [String]
    }

    /// The image, as it was named.
    let name: String
    let rows: [Row]
    let signers: [Signer]
    let repositoryKeys: [String]
    let rootKeys: [String]

    init(_ name: String, _ repository: TrustedRepository, tag: String?) {
        self.name = name
        self.rows = repository.tags.filter { tag == nil || $0.name == tag }
            .sorted { NaturalOrder.isLess($0.name, $1.name) }
            .map { Row(tag: $0.name, digest: $0.digest?.encoded ?? "", signers: $0.signers) }
        self.signers = repository.signers.map { Signer(name: $0.name, keys: $0.keyIDs.map(\.text)) }
        self.repositoryKeys = repository.repositoryKeyIDs.map(\.text)
        self.rootKeys = repository.rootKeyIDs.map(\.text)
    }
}

/// The order of names in which numbers count as numbers: 1.9 before 1.10.
enum NaturalOrder {
    static func isLess(_ left: String, _ right: String) -> Bool {
        var (left, right) = (Array(left.utf8)[...], Array(right.utf8)[...])
        while let first = left.first, let second = right.first {
            let isNumber = Dockerfile.isDigit(first) && Dockerfile.isDigit(second)
            guard isNumber else {
                if first != second { return first < second }
                left = left.dropFirst()
                right = right.dropFirst()
                continue
            }
            let (one, other) = (left.prefix(while: Dockerfile.isDigit), right.prefix(while: Dockerfile.isDigit))
            let (a, b) = (one.drop { $0 == UInt8(ascii: "0") }, other.drop { $0 == UInt8(ascii: "0") })
            if a.count != b.count { return a.count < b.count }
            if !a.elementsEqual(b) { return a.lexicographicallyPrecedes(b) }
            if one.count != other.count { return one.count < other.count }
            left = left.dropFirst(one.count)
            right = right.dropFirst(other.count)
        }
        return left.count < right.count
    }
}
