// SPDX-License-Identifier: Apache-2.0

package import TUF

/// One file of the client's own settings, read and checked. Which file counts for what, ``ClientSettings`` decides.
package struct ClientConfiguration: Sendable, Hashable {
    /// A value, and where it was set: file and line.
    package struct Sourced<Value: Sendable & Hashable>: Sendable, Hashable {
        /// What was set.
        package let value: Value
        /// Where.
        package let origin: String
    }

    /// How to reach a trust server.
    package struct Server: Sendable, Hashable {
        /// An `https` URL.
        package var url = ""
        /// A PEM file with its CA; nil for what the system and Docker trust.
        package var authorityFile: String?
        /// A PEM file with the client's certificate.
        package var certificateFile: String?
        /// The key of that certificate.
        package var privateKeyFile: String?
        /// Whose login is shown to it; nil for that of the collection's registry.
        package var credentials: Credentials?
    }

    /// Who one is to a server.
    package enum Credentials: Sendable, Hashable {
        /// Nobody.
        case anonymous
        /// Whoever `docker login` knows at this host.
        case loginOf(String)
    }

    /// How to reach a registry.
    package struct Registry: Sendable, Hashable {
        /// Whether it is spoken to without TLS.
        package var isPlainHTTP = false
        /// A PEM file with its CA.
        package var authorityFile: String?
    }

    /// Another name's content and, if it says so, trust.
    package struct Alias: Sendable, Hashable {
        /// Where the content is: registry and repository.
        package let content: String
        /// Whose trust data counts; nil for those of the name that was typed.
        package let gun: String?
    }

    /// Whose root is accepted.
    package enum Pin: Sendable, Hashable {
        /// Ids of root certificates.
        case keyIDs([KeyID])
        /// A PEM file with CAs.
        case authorityFile(String)
    }

    /// Who must sign pin bundles, and where they are besides `pins.d`.
    package struct PinBundles: Sendable, Hashable {
        /// PEM files of public keys.
        package var keyFiles: [String] = []
        /// How many of them must have signed.
        package var threshold = 1
        /// Files of bundles.
        package var files: [String] = []
    }

    /// Proxies, where the environment names none.
    package struct Proxies: Sendable, Hashable {
        /// For HTTPS, as a URL.
        package var https: String?
        /// For plain HTTP.
        package var http: String?
        /// Hosts that are reached without.
        package var exempt: [String] = []
    }

    /// The file.
    package let path: String
    /// Keys and cached metadata.
    package var trustDirectory: Sourced<String>?
    /// Trust servers by collection.
    package var servers = NameRules<Server>()
    /// Registries by host.
    package var registries: [String: Sourced<Registry>] = [:]
    /// Where content is fetched first, by collection.
    package var mirrors = NameRules<[String]>()
    /// Other names.
    package var aliases: [String: Sourced<Alias>] = [:]
    /// Pins by collection.
    package var pins = NameRules<Pin>()
    /// Who signs pin bundles.
    package var pinBundles: Sourced<PinBundles>?
    /// Whether a collection that is neither known nor pinned may be trusted.
    package var allowsFirstUse: Sourced<Bool>?
    /// How long ago, in seconds, the server must have confirmed what is read without it.
    package var maximumAge: Sourced<Int64>?
    /// How long ago, in seconds, an offline bundle may have been exported.
    package var maximumBundleAge: Sourced<Int64>?
    /// Proxies.
    package var proxies: Sourced<Proxies>?
    /// Whether servers, registries, mirrors and aliases of this file cannot be replaced by others (machine-wide file).
    package var isLocked: Sourced<Bool>?

    /// No settings.
    init(empty path: String) {
        self.path = path
    }
}
