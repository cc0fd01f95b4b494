// SPDX-License-Identifier: Apache-2.0

extension NotaryMapping {
    /// - Returns: the services that its process has.
    mutating func mapServer(_ file: NotaryFile) -> [String] {
        self.mapServerAddress(file)
        self.mapStorage(file, as: DatabaseSettings.server, default: "collections")
        self.mapAuthentication(file)
        self.take("caching.max_age.current_metadata", file, as: TrustServerSettings.currentMaximumAge)
        self.take("caching.max_age.consistent_metadata", file, as: TrustServerSettings.consistentMaximumAge)
        if let prefixes = self.value("repositories.gun_prefixes", file), !prefixes.list.isEmpty {
            self.give(TrustServerSettings.gunPrefixes, prefixes.list, prefixes.origin)
        }
        return self.mapTrustService(file) ? ["server", "signer"] : ["server"]
    }

    private mutating func mapServerAddress(_ file: NotaryFile) {
        if self.value("server.http_addr", file) == nil {
            self.fail(file.place("server"), "server.http_addr", "is missing: expected HOST:PORT or :PORT")
        }
        self.take("server.http_addr", file, as: TrustServerSettings.address)
        let problems = self.problems.count
        let hasTLS = self.takePair(
            ("server.tls_cert_file", ServeSettings.certificate),
            ("server.tls_key_file", ServeSettings.key),
            file
        )
        // Half a pair has been refused already.
        if !hasTLS, self.problems.count == problems {
            self.give(TrustServerSettings.plainHTTP, ["true"], file.place("server"))
        }
        if let authority = self.value("server.client_ca_file", file), !hasTLS {
            // Notary passes it over without a word.
            self.fail(authority, "server.client_ca_file", "asks for certificates, which needs server.tls_cert_file")
            return
        }
        self.takePath("server.client_ca_file", file, as: TrustServerSettings.clientAuthority)
    }

    /// - Returns: whether the signer is in the server's process.
    private mutating func mapTrustService(_ file: NotaryFile) -> Bool {
        let key = "trust_service.type"
        guard let type = self.value(key, file) else {
            self.fail(file.place("trust_service"), key, "is missing: expected remote or local")
            return false
        }
        switch type.text {
        case "local":
            self.warn(
                type.origin,
                key,
                "is local: notary-server loses these keys when it ends; here the signer is in the same process too, and keeps "
                    + "them, encrypted, under \(ServeSettings.data.declaration.key)"
            )
            self.give(TrustServerSettings.keyAlgorithm, ["ed25519"], type.origin)
            return true
        case "remote":
            self.mapRemoteSigner(file, type)
            return false
        default:
            self.fail(type, key, "found `\(type.text)`, expected remote or local")
            return false
        }
    }

    private mutating func mapRemoteSigner(_ file: NotaryFile, _ type: NotaryFile.Value) {
        if let algorithm = self.value("trust_service.key_algorithm", file) {
            self.give(TrustServerSettings.keyAlgorithm, [algorithm.text.lowercased()], algorithm.origin)
        } else {
            let expected = "expected ecdsa or ed25519"
            self.fail(file.place("trust_service"), "trust_service.key_algorithm", "is missing: \(expected)")
        }
        guard let host = self.value("trust_service.hostname", file), let port = self.value("trust_service.port", file)
        else {
            self.fail(type, "trust_service", "needs hostname and port of the signer")
            return
        }
        let name = host.text.contains(":") && !host.text.hasPrefix("[") ? "[\(host.text)]" : host.text
        if self.isBoth {
            self.warn(
                host.origin,
                "trust_service.hostname",
                "is not asked: the signer is in this process, because its file was given too"
            )
            return
        }
        self.give(SignerSettings.remote, ["\(name):\(port.text)"], host.origin)
        if self.value("trust_service.tls_ca_file", file) == nil {
            self.give(SignerSettings.authority, [SignerSettings.systemAuthorities], file.place("trust_service"))
        }
        self.takePath("trust_service.tls_ca_file", file, as: SignerSettings.authority)
        let problems = self.problems.count
        let hasCertificate = self.takePair(
            ("trust_service.tls_client_cert", SignerSettings.clientCertificate),
            ("trust_service.tls_client_key", SignerSettings.clientKey),
            file
        )
        if !hasCertificate, self.problems.count == problems {
            self.give(SignerSettings.clientCertificate, [SignerSettings.noCertificate], file.place("trust_service"))
        }
    }

    private mutating func mapAuthentication(_ file: NotaryFile) {
        let key = "auth.type"
        guard let type = self.value(key, file) else { return }
        guard type.text == "token" else {
            self.fail(
                type,
                key,
                "found `\(type.text)`, expected token: notary-server knows no other and serves everybody then, without a word; "
                    + "leave `auth` out if that is meant"
            )
            return
        }
        let redirect = self.value("auth.options.autoredirect", file)
        if let redirect { self.mapRedirect(redirect) }
        let options = [
            ("realm", AuthenticationSettings.realm), ("service", AuthenticationSettings.service),
            ("issuer", AuthenticationSettings.issuer), ("rootcertbundle", AuthenticationSettings.certificates),
        ]
        for (name, setting) in options {
            let key = "auth.options.\(name)"
            if let value = self.value(key, file) {
                // Of all paths only this one is relative to where the program was started.
                let text =
                    name == "rootcertbundle" ? RelativePath.resolve(value.text, in: self.currentDirectory) : value.text
                self.give(setting, [text], value.origin)
            } else if name != "realm" || redirect?.text.lowercased() != "true" {
                self.fail(file.place("auth.options"), key, "is missing, which auth.type token needs")
            }
        }
    }

    private mutating func mapRedirect(_ value: NotaryFile.Value) {
        switch value.text.lowercased() {
        case "true", "1", "t": self.give(AuthenticationSettings.autoredirect, ["true"], value.origin)
        case "false", "0", "f": break
        default: self.fail(value, "auth.options.autoredirect", "found `\(value.text)`, expected true or false")
        }
    }
}
