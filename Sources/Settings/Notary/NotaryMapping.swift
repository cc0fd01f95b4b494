// SPDX-License-Identifier: Apache-2.0

/// What Notary's files mean in our settings: the server's, the signer's, or one of each for a process that is both.
///
/// What Notary takes, we take. What would be less safe or less lasting than somebody may believe is a warning; what cannot be
/// done as it is asked is an error.
struct NotaryMapping {
    private(set) var given: [GivenSetting] = []
    private(set) var problems: [SettingProblem] = []
    private let environment: [String: String]
    let currentDirectory: String
    /// Whether the signer's file is there too.
    let isBoth: Bool

    init(_ files: [NotaryFile], environment: [String: String], currentDirectory: String) {
        self.environment = environment
        self.currentDirectory = currentDirectory
        self.isBoth = Set(files.map(\.program)).count == 2
        guard let first = files.first else { return }
        for (index, file) in files.enumerated() {
            if let earlier = files[..<index].first(where: { $0.program == file.program }) {
                let message = "is a second file of \(file.program.name), after \(earlier.path): give one of each"
                self.problems.append(SettingProblem(.error, .file(path: file.path, line: 1), message))
                return
            }
        }
        var services: [String] = []
        for file in files {
            self.warnOfUnknownKeys(file)
            switch file.program {
            case .server: services += self.mapServer(file)
            case .signer: services += self.mapSigner(file)
            }
        }
        let order = ServiceName.allCases.map(\.rawValue).filter(services.contains)
        let place = first.place(first.program == .server ? "server.http_addr" : "server.grpc_addr")
        self.given.append(GivenSetting(ServeSettings.only.declaration.key, order, from: place))
        self.mapLogging(files)
    }

    // MARK: What both have

    /// The level of each; the one that says more counts. Notary's logs are JSON.
    private mutating func mapLogging(_ files: [NotaryFile]) {
        let names = [
            "debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error",
            "fatal": "critical", "panic": "critical",
        ]
        let order = ["debug", "info", "warning", "error", "critical"]
        var found: [(level: String, origin: SettingOrigin)] = []
        for file in files {
            guard let value = self.value("logging.level", file) else { continue }
            guard let level = names[value.text.lowercased()] else {
                let expected = "debug, info, warning, error, fatal or panic"
                self.fail(value, "logging.level", "found `\(value.text)`, expected \(expected)")
                continue
            }
            found.append((level, value.origin))
        }
        let verbose = found.min { (order.firstIndex(of: $0.level) ?? 0) < (order.firstIndex(of: $1.level) ?? 0) }
        if let verbose { self.give(ServeSettings.logLevel, [verbose.level], verbose.origin) }
        if let file = files.first { self.give(ServeSettings.logFormat, ["json"], file.place("logging")) }
    }

    private mutating func warnOfUnknownKeys(_ file: NotaryFile) {
        let known = NotaryKeys.of(file.program)
        for (key, line) in file.lines.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            let origin = SettingOrigin.file(path: file.path, line: line, notaryKey: key)
            if NotaryKeys.reporting.contains(key) {
                if key == "reporting" {
                    self.warn(origin, key, "does nothing: problems are in the log, not reported to Bugsnag")
                }
                continue
            }
            guard !known.contains(key), !known.contains(where: { $0.hasPrefix(key + ".") }) else { continue }
            // What belongs to an unknown section is told with it.
            guard !file.lines.keys.contains(where: { key.hasPrefix($0 + ".") && !NotaryKeys.isSection($0, known) })
            else {
                continue
            }
            let advice = NearestName.to(key, among: known).map { "; did you mean `\($0)`?" } ?? ""
            self.warn(origin, key, "is nothing that \(file.program.name) knows, and is passed over\(advice)")
        }
    }

    // MARK: Tools

    func value(_ key: String, _ file: NotaryFile) -> NotaryFile.Value? { file.value(key, self.environment) }

    func hasVariable(of setting: Setting<some Sendable>) -> Bool {
        setting.declaration.variables.contains { self.environment[$0]?.isEmpty == false }
    }

    mutating func give(_ setting: Setting<some Sendable>, _ words: [String], _ origin: SettingOrigin) {
        self.given.append(GivenSetting(setting.declaration.key, words, from: origin))
    }

    /// Takes a value over as it is.
    mutating func take(_ key: String, _ file: NotaryFile, as setting: Setting<some Sendable>) {
        if let value = self.value(key, file) { self.give(setting, [value.text], value.origin) }
    }

    /// Takes the path of a file over: it is relative to the configuration file, wherever it was given.
    mutating func takePath(_ key: String, _ file: NotaryFile, as setting: Setting<some Sendable>) {
        guard let value = self.value(key, file) else { return }
        self.give(setting, [RelativePath.resolve(value.text, in: file.directory)], value.origin)
    }

    /// Two of which neither is anything without the other.
    /// - Returns: whether both are there.
    mutating func takePair(
        _ first: (key: String, setting: Setting<String?>),
        _ second: (key: String, setting: Setting<String?>),
        _ file: NotaryFile
    ) -> Bool {
        let values = (self.value(first.key, file), self.value(second.key, file))
        switch values {
        case (.some, .some):
            self.takePath(first.key, file, as: first.setting)
            self.takePath(second.key, file, as: second.setting)
            return true
        case (let one?, nil):
            self.fail(one, first.key, "needs \(second.key)")
        case (nil, let other?):
            self.fail(other, second.key, "needs \(first.key)")
        case (nil, nil):
            break
        }
        return false
    }

    mutating func fail(_ value: NotaryFile.Value, _ key: String, _ message: String) {
        self.fail(value.origin, key, message)
    }

    mutating func fail(_ origin: SettingOrigin, _ key: String, _ message: String) {
        self.problems.append(SettingProblem(.error, origin, key: key, message))
    }

    mutating func warn(_ origin: SettingOrigin, _ key: String, _ message: String) {
        self.problems.append(SettingProblem(.warning, origin, key: key, message))
    }

    /// Notary's driver wants TLS where nothing else is said; libpq only tries.
    private func encrypting(_ connection: String) -> String {
        guard !connection.contains("sslmode"), self.environment["PGSSLMODE"]?.isEmpty ?? true else { return connection }
        guard connection.contains("://") else { return connection + " sslmode=require" }
        return connection + (connection.contains("?") ? "&" : "?") + "sslmode=require"
    }

    /// Where the metadata or the keys are.
    mutating func mapStorage(_ file: NotaryFile, as setting: Setting<String?>, default keeps: String) {
        let key = "storage.backend"
        guard let backend = self.value(key, file) else {
            self.fail(file.place(key), key, "is missing: expected postgres or memory")
            return
        }
        switch backend.text.lowercased() {
        case "postgres":
            guard let url = self.value("storage.db_url", file) else {
                self.fail(backend, "storage.db_url", "is missing: expected the URL of the PostgreSQL database")
                return
            }
            self.give(setting, [self.encrypting(url.text)], url.origin)
        case "memory":
            self.warn(
                backend.origin,
                key,
                "is memory, which \(file.program.name) loses when it ends; here \(keeps) stay in a file under "
                    + "\(ServeSettings.data.declaration.key)"
            )
        case "mysql", "rethinkdb", "sqlite3":
            self.fail(
                backend,
                key,
                "found `\(backend.text)`, expected postgres: copy the tables to PostgreSQL and name that database; "
                    + "docs/config.md, \"From MySQL or RethinkDB\", tells how"
            )
        default:
            self.fail(backend, key, "found `\(backend.text)`, expected postgres or memory")
        }
    }
}

/// The keys that Notary's programs know.
enum NotaryKeys {
    static let reporting = [
        "reporting", "reporting.bugsnag", "reporting.bugsnag.api_key", "reporting.bugsnag.release_stage",
        "reporting.bugsnag.endpoint",
    ]

    static func of(_ program: NotaryFile.Program) -> [String] {
        switch program {
        case .server: Self.both + Self.server
        case .signer: Self.both + Self.signer
        }
    }

    /// Whether known keys begin with it.
    static func isSection(_ key: String, _ known: [String]) -> Bool { known.contains { $0.hasPrefix(key + ".") } }

    private static let both = [
        "server.tls_cert_file", "server.tls_key_file", "server.client_ca_file", "storage.backend", "storage.db_url",
        "storage.tls_ca_file", "storage.client_cert_file", "storage.client_key_file", "storage.database",
        "storage.username", "storage.password", "logging.level",
    ]
    private static let server = [
        "server.http_addr", "trust_service.type", "trust_service.hostname", "trust_service.port",
        "trust_service.key_algorithm", "trust_service.tls_ca_file", "trust_service.tls_client_cert",
        "trust_service.tls_client_key", "auth.type", "auth.options.realm", "auth.options.service",
        "auth.options.issuer", "auth.options.rootcertbundle", "auth.options.autoredirect", "auth.options.path",
        "caching.max_age.current_metadata", "caching.max_age.consistent_metadata", "repositories.gun_prefixes",
    ]
    private static let signer = ["server.grpc_addr", "storage.default_alias"]
}
