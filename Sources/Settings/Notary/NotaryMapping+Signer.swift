// SPDX-License-Identifier: Apache-2.0

extension NotaryMapping {
    /// - Returns: the services that its process has.
    mutating func mapSigner(_ file: NotaryFile) -> [String] {
        self.take("server.grpc_addr", file, as: SignerSettings.address)
        let problems = self.problems.count
        let hasTLS = self.takePair(
            ("server.tls_cert_file", SignerSettings.certificate),
            ("server.tls_key_file", SignerSettings.key),
            file
        )
        if !hasTLS, self.problems.count == problems {
            self.fail(
                file.place("server"),
                "server.tls_cert_file",
                "is missing, with server.tls_key_file: a signer needs both"
            )
        }
        if self.value("server.client_ca_file", file) == nil {
            self.warn(
                file.place("server"),
                "server.client_ca_file",
                "is missing: whoever reaches the signer's address can have anything signed"
            )
            self.give(SignerSettings.anyClient, ["true"], file.place("server"))
        }
        self.takePath("server.client_ca_file", file, as: SignerSettings.clientAuthority)
        self.mapStorage(file, as: DatabaseSettings.signer, default: "keys")
        self.take("storage.default_alias", file, as: SignerSettings.defaultAlias)
        self.requireAlias(file)
        return ["signer"]
    }

    /// Notary's keys in PostgreSQL are under passphrases in variables, and so are new ones.
    private mutating func requireAlias(_ file: NotaryFile) {
        guard self.value("storage.backend", file)?.text.lowercased() == "postgres",
            self.value("storage.default_alias", file) == nil,
            !self.hasVariable(of: SignerSettings.defaultAlias)
        else { return }
        self.fail(
            file.place("storage"),
            "storage.default_alias",
            "is missing, as is NOTARY_SIGNER_DEFAULT_ALIAS: one of them names the passphrase of new keys"
        )
    }
}
