// SPDX-License-Identifier: Apache-2.0

package import NotaryAPI
package import OCI

// What the settings say of names: which server, registry, mirror or other name is meant.
extension ClientSettings {
    /// The files in the order in which they are asked for servers, registries, mirrors and names. The machine's is asked first when it
    /// is locked.
    private var ordered: [ClientConfiguration] {
        guard let machine = self.machine, machine.isLocked?.value == true else { return self.files }
        return [machine] + self.files.filter { $0 != machine }
    }

    /// What the settings say of a collection's trust server. A server that was named counts before it, unless the machine's settings
    /// are locked.
    package func serverRule(for gun: GUN) -> NameRules<ClientConfiguration.Server>.Rule? {
        if let machine = self.machine, machine.isLocked?.value == true, let rule = machine.servers.rule(for: gun.text) {
            return rule
        }
        guard self.server == nil else { return nil }
        return self.ordered.lazy.compactMap { $0.servers.rule(for: gun.text) }.first
    }

    /// What the settings say of a registry.
    package func registryRule(for registry: String) -> ClientConfiguration.Sourced<ClientConfiguration.Registry>? {
        self.ordered.lazy.compactMap { $0.registries[registry] }.first
    }

    /// What the settings say of a collection's mirrors.
    package func mirrorRule(for gun: String) -> NameRules<[String]>.Rule? {
        self.ordered.lazy.compactMap { $0.mirrors.rule(for: gun) }.first
    }

    /// What another name stands for.
    package func alias(of reference: ImageReference) -> ClientConfiguration.Sourced<ClientConfiguration.Alias>? {
        self.ordered.lazy.compactMap { $0.aliases[reference.gun] }.first
    }

    /// The collection whose trust data say what an image's tags mean.
    /// - Throws: `TUFError` with code `invalid`; ``ContentTrustError`` with code `configuration` for another's trust that the machine's
    ///   settings forbid.
    package func gun(for reference: ImageReference) throws -> GUN {
        guard let alias = self.alias(of: reference), let gun = alias.value.gun, gun != reference.gun else {
            return try GUN(reference.gun)
        }
        if let machine = self.machine, machine.aliases[reference.gun] == alias { return try GUN(gun) }
        // What the machine says of a name is for the name that people type: nobody else may give it another's trust.
        let lock = self.machine?.isLocked.flatMap { $0.value ? $0.origin : nil }
        guard let binding = self.machine?.pins.rule(for: reference.gun)?.origin ?? lock ?? self.machinePinBundles else {
            return try GUN(gun)
        }
        throw ContentTrustError(
            .configuration,
            "\(alias.origin): \(reference.gun) cannot be trusted as \(gun.prefix(300)): \(binding) binds it. Only the machine's own "
                + "settings can say so"
        )
    }

    /// Where an image itself is: under its own name, or where an alias says.
    package func origin(of reference: ImageReference) -> ContentPlace {
        if let alias = self.alias(of: reference)?.value, let content = try? ImageReference(alias.content) {
            return ContentPlace(registry: content.registry, repository: content.repository)
        }
        return ContentPlace(registry: reference.registry, repository: reference.repository)
    }

    /// The mirrors of an image's content, in the order in which they are asked. What comes from them is asked for by digest.
    package func mirrors(for reference: ImageReference) -> [ContentPlace] {
        let places = self.mirrorRule(for: reference.gun)?.value ?? []
        return places.compactMap { ContentPlace(mirror: $0, of: reference.repository) }
    }

    /// Where an image's content is fetched by digest: its mirrors, then where it is itself.
    package func places(of reference: ImageReference) -> [ContentPlace] {
        self.mirrors(for: reference) + [self.origin(of: reference)]
    }
}
