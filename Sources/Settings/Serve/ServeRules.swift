// SPDX-License-Identifier: Apache-2.0

/// What of the settings of `hallmark serve` goes together.
package enum ServeRules {
    /// - Returns: what does not, each a reason not to start, and what somebody should know.
    package static func check(_ settings: SettingValues) -> [SettingProblem] {
        var check = Check(settings: settings)
        check.certificates()
        check.signer()
        check.signerOfTheServer()
        check.addresses()
        check.encryption()
        check.authentication()
        check.users()
        check.storage()
        return check.problems
    }

    private struct Check {
        let settings: SettingValues
        var problems: [SettingProblem] = []

        init(settings: SettingValues) {
            self.settings = settings
        }

        var services: Set<ServiceName> { self.settings.services }

        mutating func refuse(_ setting: Setting<some Sendable>, _ message: String) {
            self.add(.error, setting, message)
        }

        mutating func add(
            _ severity: SettingProblem.Severity,
            _ setting: Setting<some Sendable>,
            _ message: String
        ) {
            let origin = self.settings.origin(of: setting)
            self.problems.append(SettingProblem(severity, origin, key: setting.declaration.key, message))
        }

        /// Two that are nothing without each other.
        mutating func pair(_ left: Setting<String?>, _ right: Setting<String?>) {
            guard (self.settings[left] == nil) != (self.settings[right] == nil) else { return }
            let (given, missing) = self.settings[left] == nil ? (right, left) : (left, right)
            self.refuse(given, "needs \(Self.names(missing))")
        }

        /// How a setting can be given.
        static func names(_ setting: Setting<some Sendable>) -> String {
            "--\(setting.declaration.option) (\(setting.declaration.key))"
        }

        mutating func certificates() {
            self.pair(ServeSettings.certificate, ServeSettings.key)
            self.pair(SignerSettings.certificate, SignerSettings.key)
            if self.settings[SignerSettings.clientCertificate] != SignerSettings.noCertificate {
                self.pair(SignerSettings.clientCertificate, SignerSettings.clientKey)
            }
        }

        /// A signer that others use.
        mutating func signer() {
            let settings = self.settings
            if settings[SignerSettings.anyClient], settings[SignerSettings.clientAuthority] != nil {
                self.refuse(
                    SignerSettings.anyClient,
                    "lets everybody in, and \(settings.name(SignerSettings.clientAuthority)) does not: keep one of them"
                )
            }
            if settings[SignerSettings.certificate] != nil, settings[SignerSettings.clientAuthority] == nil,
                !settings[SignerSettings.anyClient]
            {
                self.refuse(
                    SignerSettings.certificate,
                    "needs \(Self.names(SignerSettings.clientAuthority)), the CA of those who may have things signed"
                )
            }
            guard !self.services.contains(.signer) else { return }
            let advice = "is for a process with the signer: add --only signer"
            self.refuseOption(SignerSettings.address, advice)
            self.refuseOption(SignerSettings.certificate, advice)
            self.refuseOption(SignerSettings.clientAuthority, advice)
            self.refuseOption(SignerSettings.anyClient, advice)
        }

        /// The signer that a trust server uses.
        mutating func signerOfTheServer() {
            let usesAnother = self.services.contains(.server) && !self.services.contains(.signer)
            guard !usesAnother else { return }
            let advice = "is for a trust server whose signer is another process: add --only server"
            if self.services.contains(.server), self.settings.isGiven(SignerSettings.remote) {
                // Whoever names another signer must not quietly get one here.
                self.refuse(SignerSettings.remote, advice)
            } else {
                self.refuseOption(SignerSettings.remote, advice)
            }
            self.refuseOption(SignerSettings.authority, advice)
            self.refuseOption(SignerSettings.clientCertificate, advice)
        }

        /// A file may be for several processes, each with other services; an option is for this one.
        mutating func refuseOption(_ setting: Setting<some Sendable>, _ message: String) {
            if case .option = self.settings.origin(of: setting) { self.refuse(setting, message) }
        }

        mutating func authentication() {
            let settings = self.settings
            let group: [Setting<String?>] = [
                AuthenticationSettings.realm, AuthenticationSettings.service, AuthenticationSettings.issuer,
                AuthenticationSettings.certificates, AuthenticationSettings.keySet,
            ]
            if settings[AuthenticationSettings.autoredirect] {
                self.needs(AuthenticationSettings.autoredirect)
            } else if settings[AuthenticationSettings.realm] != nil {
                self.needs(AuthenticationSettings.realm)
            } else if let given = group.first(where: { settings[$0] != nil }) {
                self.refuse(given, "needs \(Self.names(AuthenticationSettings.realm)), the URL of the token service")
            }
        }

        /// What authentication cannot do without.
        private mutating func needs(_ given: Setting<some Sendable>) {
            let settings = self.settings
            for name in [AuthenticationSettings.service, AuthenticationSettings.issuer] where settings[name] == nil {
                self.refuse(given, "needs \(Self.names(name))")
            }
            if settings[AuthenticationSettings.certificates] == nil, settings[AuthenticationSettings.keySet] == nil {
                self.refuse(
                    given,
                    "needs \(Self.names(AuthenticationSettings.certificates)) or "
                        + "\(Self.names(AuthenticationSettings.keySet)): what tokens are verified with"
                )
            }
        }

        /// A token service in this process.
        mutating func users() {
            let settings = self.settings
            guard settings[TokenServiceSettings.users] != nil else {
                let others: [Setting<String?>] = [TokenServiceSettings.rules, TokenServiceSettings.realm]
                for other in others where settings[other] != nil {
                    self.refuse(other, "needs \(Self.names(TokenServiceSettings.users)), the users that it is about")
                }
                return
            }
            let another = settings[AuthenticationSettings.realm] != nil || settings[AuthenticationSettings.autoredirect]
            if another {
                self.refuse(
                    TokenServiceSettings.users,
                    "makes tokens here, and \(settings.name(AuthenticationSettings.realm)) says that another service does: "
                        + "keep one of them"
                )
            }
            let services = self.services
            let isSecure =
                services.contains(.server) && !settings[TrustServerSettings.plainHTTP]
                || services.contains(.registry) && settings[RegistrySettings.usesTLS]
            if services != [.signer], !isSecure, settings[TokenServiceSettings.realm] == nil {
                self.refuse(
                    TokenServiceSettings.users,
                    "needs an address with TLS for passwords to come to: a trust server, \(Self.names(RegistrySettings.usesTLS)), "
                        + "or a proxy's that \(Self.names(TokenServiceSettings.realm)) names"
                )
            }
        }

        mutating func addresses() {
            let registry = self.settings[RegistrySettings.address]
            let server = self.settings[TrustServerSettings.address]
            guard self.services.contains(.registry), self.services.contains(.server), registry == server,
                server.port != 0
            else { return }
            let other = self.settings.name(RegistrySettings.address)
            self.refuse(TrustServerSettings.address, "is \(server), as is \(other): the services need one each")
        }

        mutating func encryption() {
            let settings = self.settings
            if self.services.contains(.registry), !settings[RegistrySettings.address].isLoopback,
                !settings[RegistrySettings.usesTLS]
            {
                self.add(
                    .warning,
                    RegistrySettings.address,
                    "the registry speaks plain HTTP beyond this machine; --registry-tls encrypts it"
                )
            }
            guard self.services.contains(.server), settings[TrustServerSettings.plainHTTP] else { return }
            if settings[TrustServerSettings.clientAuthority] != nil {
                self.refuse(
                    TrustServerSettings.clientAuthority,
                    "asks for certificates, which \(settings.name(TrustServerSettings.plainHTTP)) rules out"
                )
            }
            if !settings[TrustServerSettings.address].isLoopback {
                self.add(
                    .warning,
                    TrustServerSettings.plainHTTP,
                    "the trust server speaks plain HTTP beyond this machine: what is sent, tokens too, can be read on the way, and Docker "
                        + "does not talk to it unless a proxy adds TLS"
                )
            }
        }

        /// Blobs on S3.
        mutating func storage() {
            self.pair(S3Settings.accessKey, S3Settings.secretKey)
            let settings = self.settings
            guard settings[S3Settings.bucket] == nil else { return }
            for setting in [S3Settings.endpoint, S3Settings.accessKey, S3Settings.credentialsFile, S3Settings.prefix]
            where settings[setting] != nil {
                self.refuse(setting, "needs \(Self.names(S3Settings.bucket)): blobs are kept in files without it")
            }
        }
    }
}
