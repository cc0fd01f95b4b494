// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import Foundation
package import NotaryAPI
package import TUF
package import TrustClient

// Whose roots are accepted. Every source that has a pin for a collection is obeyed: none of them loosens another.
extension ClientSettings {
    /// Which root to accept for a collection that is neither known nor pinned; a pin of Notary's configuration alone comes this way,
    /// too. What pins there are in all, ``rootPins(for:at:)`` says.
    package func anchor(for gun: GUN) -> RootAnchor {
        if let anchor = self.configuration?.anchor(for: gun.text), anchor != .firstUse { return anchor }
        return self.refusesFirstUse(at: Date()) == nil ? .firstUse : .knownOnly
    }

    /// Who has to vouch for the root of a collection: all of these.
    /// - Throws: ``ContentTrustError`` with code `configuration` for a CA's file that cannot be read; `TrustClientError` for a pin
    ///   bundle that must not be used, with code `signature`, `expired` or `rollback`.
    package func rootPins(for gun: GUN, at now: Date) throws -> [RootPin] {
        var pins: [RootPin] = []
        if let ids = self.configuration?.pinnedKeys(for: gun.text) {
            pins.append(RootPin(.keyIDs(ids), origin: "trust_pinning.certs", isBinding: false))
        } else if let file = self.configuration?.authorityFile(for: gun.text) {
            pins.append(RootPin(.authorities(try Self.authorities(file)), origin: "trust_pinning.ca", isBinding: false))
        }
        for file in self.files {
            guard let rule = file.pins.rule(for: gun.text) else { continue }
            let anchor: RootPin.Anchor =
                switch rule.value {
                case .keyIDs(let ids): .keyIDs(Set(ids))
                case .authorityFile(let path): .authorities(try Self.authorities(path))
                }
            pins.append(RootPin(anchor, origin: rule.origin, isBinding: true))
        }
        for entry in try self.pinBundles(at: now) {
            guard let pin = entry.bundle.pin(for: gun.text) else { continue }
            pins.append(RootPin(pin.anchor, origin: entry.path, isBinding: true))
        }
        return pins
    }

    /// Where it is said that a collection that is neither known nor pinned is refused; nil when that is said nowhere.
    ///
    /// A pin bundle that cannot be used counts as saying so.
    package func refusesFirstUse(at now: Date) -> String? {
        if self.configuration?.allowsFirstUse == false { return "trust_pinning.disable_tofu" }
        if let file = self.files.first(where: { $0.allowsFirstUse?.value == false }) {
            return file.allowsFirstUse?.origin
        }
        do {
            return try self.pinBundles(at: now).first { $0.bundle.refusesFirstUse }?.path
        } catch {
            return "\(error)"
        }
    }

    /// The pin bundles of this user and this machine.
    /// - Throws: `TrustClientError` for one that must not be used.
    package func pinBundles(at now: Date) throws -> [InstalledPins.Entry] {
        let installed = InstalledPins(trustDirectory: self.trustDirectory)
        return try self.pinSources.flatMap { try installed.load($0, at: now) }
    }

    /// How long ago, in seconds, a server must have confirmed what is read without it; nil for as long as it is in force.
    package var maximumAge: Int64? { self.files.compactMap { $0.maximumAge?.value }.min() }

    /// How long ago, in seconds, an offline bundle may have been exported; nil for as long as its metadata is in force.
    package var maximumBundleAge: Int64? { self.files.compactMap { $0.maximumBundleAge?.value }.min() }

    static func authorities(_ path: String) throws -> CertificateAuthorities {
        do {
            guard let bytes = try DurableFile.read(path, limit: 1 << 20) else {
                throw ContentTrustError(
                    .configuration,
                    "there is no file \(path) with the CA that root certificates are pinned to"
                )
            }
            return try CertificateAuthorities(pem: bytes)
        } catch let error as ContentTrustError {
            throw error
        } catch {
            throw ContentTrustError(.configuration, "\(path): \(error)")
        }
    }
}

extension ClientSettings {
    /// The keys that sign pin bundles, PEM files, and how many of them must: the machine's, else the user's.
    package var pinBundleKeys: (files: [String], threshold: Int) {
        let bundles = (self.machine?.pinBundles ?? self.files.lazy.compactMap(\.pinBundles).first)?.value
        return (bundles?.keyFiles ?? [], bundles?.threshold ?? 1)
    }

    /// Where a bundle is put that is installed: of root the machine's directory, else the user's; nil without a home.
    package static var pinDirectory: String? {
        let directory =
            geteuid() == 0 ? Self.machineDirectory : ClientFiles.userDirectory(ProcessInfo.processInfo.environment)
        return directory.map { "\($0)/pins.d" }
    }
}
