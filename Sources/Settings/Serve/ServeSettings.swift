// SPDX-License-Identifier: Apache-2.0

/// The services of `hallmark serve`.
package enum ServiceName: String, Sendable, CaseIterable {
    case registry
    case server
    case signer
}

/// The settings of `hallmark serve` that belong to no service alone; and all of them.
package enum ServeSettings: SettingGroup {
    /// Every group there is, in the order of help and documentation.
    package static let groups: [any SettingGroup.Type] = [
        ServeSettings.self, RegistrySettings.self, TrustServerSettings.self, SignerSettings.self,
        AuthenticationSettings.self, TokenServiceSettings.self, DatabaseSettings.self, S3Settings.self,
        CollectionSettings.self,
        OperationsSettings.self,
    ]

    package static let schema = SettingsSchema(Self.groups)

    package static let title = "Everywhere"
    package static let settings = [
        Self.data.declaration, Self.only.declaration, Self.hostNames.declaration, Self.certificate.declaration,
        Self.key.declaration, Self.logLevel.declaration, Self.logFormat.declaration, Self.debug.declaration,
    ]

    package static let data = Setting(
        "data",
        .directory,
        default: "~/.local/share/hallmark",
        help: "Where everything is kept."
    )

    package static let only = Setting(
        "only",
        .list(of: .service),
        default: ServiceName.allCases,
        help: "Run only this service: registry, server or signer; may be repeated."
    )

    package static let hostNames = Setting(
        "hostname",
        .list(of: .text("name")),
        default: [],
        help: "A further name or address for the certificate; may be repeated."
    )

    package static let certificate = Setting(
        "tls.certificate",
        .file,
        otherwise: "one of the local CA",
        help: "Your own certificate chain, PEM, instead of the local CA's."
    )

    package static let key = Setting(
        "tls.key",
        .file,
        otherwise: "that of the local CA's certificate",
        help: "The key of --tls-certificate, PEM."
    )

    package static let logLevel = Setting(
        "log.level",
        .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
        default: "notice",
        help: "What to log: trace, debug, info (a line a request), notice, warning, error, critical. "
            + "SIGUSR1 tells more from then on, SIGUSR2 less."
    )

    package static let logFormat = Setting(
        "log.format",
        .choice(["text", "json"]),
        default: "text",
        help: "How to log: text, or json (an object a line)."
    )

    package static let debug = Setting(
        "debug",
        .flag,
        default: false,
        help: "Let debuggers and core dumps at the memory of a process that holds keys."
    )
}

extension SettingValues {
    /// The services of this process.
    package var services: Set<ServiceName> {
        let only = self[ServeSettings.only]
        return Set(only.isEmpty ? ServiceName.allCases : only)
    }
}

extension SettingType where Value == ServiceName {
    static var service: Self {
        let names = ServiceName.allCases.map(\.rawValue)
        return .word(
            names.map { "`\($0)`" }.joined(separator: ", "),
            expected: "one of \(names.joined(separator: ", "))",
            placeholder: "service",
            text: \.rawValue,
            parse: ServiceName.init(rawValue:)
        )
    }
}

/// The registry's settings.
package enum RegistrySettings: SettingGroup {
    package static let title = "Registry"
    package static let settings = [
        Self.address.declaration, Self.usesTLS.declaration, Self.isReadOnly.declaration,
        Self.refusesDeletes.declaration, Self.sparse.declaration, Self.notices.declaration,
        Self.events.declaration, Self.eventAuthority.declaration,
    ]

    package static let address = Setting(
        "registry.address",
        .address,
        default: ListenAddress(host: "127.0.0.1", port: 5000),
        help: "Where the registry listens. Port 0 takes a free one."
    )

    package static let usesTLS = Setting(
        "registry.tls",
        .flag,
        default: false,
        help: "Speak HTTPS on the registry's address too."
    )

    package static let isReadOnly = Setting(
        "registry.read-only",
        .flag,
        default: false,
        help: "Refuse pushes and deletions; what is there is served."
    )

    package static let refusesDeletes = Setting(
        "registry.refuse-deletes",
        .flag,
        default: false,
        help: "Refuse to delete tags, manifests and blobs over the API."
    )

    package static let sparse = Setting(
        "registry.sparse",
        .choice(["none", "indexes", "all"]),
        default: "none",
        help: "Which manifests are taken although something that they name is not in the repository: none, indexes, "
            + "as mirrors of some platforms push them, or all."
    )

    package static let events = Setting(
        "registry.events.file",
        .file,
        otherwise: "nobody is told",
        option: "registry-events",
        help: "A YAML file with docker-registry's section `notifications`: who is told of pushes, pulls and deletions."
    )

    package static let eventAuthority = Setting(
        "registry.events.ca",
        .file,
        otherwise: "the system's authorities alone",
        help: "A CA to trust besides the system's when events are delivered over HTTPS, PEM."
    )

    package static let notices = Setting(
        "registry.notices",
        .list(of: .notice),
        default: [],
        option: "registry-notice",
        help: "What clients are told when they begin and when they push (a Warning field); may be repeated."
    )
}

extension SettingType where Value == String {
    /// A sentence that fits into a field of HTTP.
    static var notice: Self {
        .word(
            "text",
            expected: "printable ASCII characters, 1000 at most",
            placeholder: "text",
            text: { $0 },
            parse: { text in
                (1...1000).contains(text.utf8.count) && text.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
                    ? text : nil
            }
        )
    }
}
