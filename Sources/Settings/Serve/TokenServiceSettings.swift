// SPDX-License-Identifier: Apache-2.0

/// The settings of the token service: users and rules of our own.
package enum TokenServiceSettings: SettingGroup {
    package static let title = "Users and rules"
    package static let settings = [
        Self.users.declaration, Self.rules.declaration, Self.lifetime.declaration, Self.keys.declaration,
        Self.realm.declaration, Self.registryNames.declaration,
    ]

    package static let users = Setting(
        "tokens.users",
        .file,
        otherwise: "no users: everybody may do everything, unless auth.realm is given",
        option: "users",
        help:
            "The users, an htpasswd file with bcrypt (`hallmark user add`). With this, nobody gets in without a login."
    )

    package static let rules = Setting(
        "tokens.rules",
        .file,
        otherwise: "every user may do everything, others nothing",
        option: "rules",
        help: "Who may do what, a YAML file of groups and rules."
    )

    package static let lifetime = Setting(
        "tokens.lifetime",
        .number(60...86_400, of: "seconds"),
        default: 300,
        option: "token-lifetime",
        help: "How long a login is good for before users and rules are asked again."
    )

    package static let keys = Setting(
        "tokens.keys",
        .directory,
        otherwise: "`token` under `data`",
        option: "token-keys",
        help: "Where the keys are that tokens are signed with: the same for all servers behind one name. "
            + "Default: token under --data."
    )

    package static let realm = Setting(
        "tokens.realm",
        .url,
        otherwise: "/auth/token of the trust server, under the name that the client knows",
        option: "token-realm",
        help: "The URL under which clients reach /auth/token, where that is not the trust server's own address."
    )

    package static let registryNames = Setting(
        "tokens.registry-names",
        .list(of: .text("host:port")),
        default: [],
        otherwise: "the registry's address, with each name of the certificate",
        option: "token-registry",
        help:
            "A further name under which clients know the registry: its images' collections have the rules of the images."
    )
}
