// SPDX-License-Identifier: Apache-2.0

/// One of the commands below `docker trust`, as its help tells of it.
struct TrustUsage: Sendable {
    /// The words after `docker trust`.
    let words: [String]
    /// What follows them.
    let operands: String
    /// What it does.
    let summary: String
    /// Its options, as help lists them.
    let options: String
    /// Its flags.
    let flags: FlagTable
    /// The fewest operands, and whether there may be more.
    let minimum: Int
    let takesMore: Bool

    /// `docker trust …`
    var name: String { (["docker", "trust"] + self.words).joined(separator: " ") }

    /// What `--help` prints.
    var help: String { "Usage:  \(self.name) \(self.operands)\n\n\(self.summary)\n\nOptions:\n\(self.options)\n" }

    /// Says what is wrong with a flag.
    func wrongFlag(_ message: String) -> TrustPluginFailure {
        TrustPluginFailure(
            status: 125,
            "\(message)\n\nUsage:  \(self.name) \(self.operands)\n\nRun '\(self.name) --help' for more information"
        )
    }

    /// Says that operands are missing, or too many.
    var wrongCount: TrustPluginFailure {
        let noun = self.minimum == 1 ? "argument" : "arguments"
        let count = self.takesMore ? "at least \(self.minimum) \(noun)" : "\(self.minimum) \(noun)"
        return TrustPluginFailure(
            status: 1,
            "docker: '\(self.name)' requires \(count)\n\nUsage:  \(self.name) \(self.operands)\n\n"
                + "\(self.takesMore ? "See" : "Run") '\(self.name) --help' for more information"
        )
    }
}

/// How a command of the plugin ends that did not do what it was asked.
struct TrustPluginFailure: Error, Sendable {
    let status: Int32
    /// What is said on standard error; nil when all has been said.
    let message: String?

    init(status: Int32 = 1, _ message: String?) {
        self.status = status
        self.message = message
    }
}

extension TrustUsage {
    static let inspect = TrustUsage(
        words: ["inspect"],
        operands: "IMAGE[:TAG] [IMAGE[:TAG]...]",
        summary: "Return low-level information about keys and signatures",
        options: "      --pretty   Print the information in a human friendly format",
        flags: FlagTable(values: "", switches: "pretty help,h"),
        minimum: 1,
        takesMore: true
    )
    static let revoke = TrustUsage(
        words: ["revoke"],
        operands: "[OPTIONS] IMAGE[:TAG]",
        summary: "Remove trust for an image",
        options: "  -y, --yes   Do not prompt for confirmation",
        flags: FlagTable(values: "", switches: "yes,y help,h"),
        minimum: 1,
        takesMore: false
    )
    static let sign = TrustUsage(
        words: ["sign"],
        operands: "IMAGE:TAG",
        summary: "Sign an image",
        options: "      --local   Sign a locally tagged image",
        flags: FlagTable(values: "", switches: "local help,h"),
        minimum: 1,
        takesMore: false
    )
    static let addSigner = TrustUsage(
        words: ["signer", "add"],
        operands: "OPTIONS NAME REPOSITORY [REPOSITORY...] ",
        summary: "Add a signer",
        options: "      --key list   Path to the signer's public key file",
        flags: FlagTable(values: "key", switches: "help,h"),
        minimum: 2,
        takesMore: true
    )
    static let removeSigner = TrustUsage(
        words: ["signer", "remove"],
        operands: "[OPTIONS] NAME REPOSITORY [REPOSITORY...]",
        summary: "Remove a signer",
        options: """
              -f, --force   Do not prompt for confirmation before removing the most
                            recent signer
            """,
        flags: FlagTable(values: "", switches: "force,f help,h"),
        minimum: 2,
        takesMore: true
    )
    static let generateKey = TrustUsage(
        words: ["key", "generate"],
        operands: "NAME",
        summary: "Generate and load a signing key-pair",
        options: """
                  --dir string   Directory to generate key in, defaults to current
                                 directory
            """,
        flags: FlagTable(values: "dir", switches: "help,h"),
        minimum: 1,
        takesMore: false
    )
    static let loadKey = TrustUsage(
        words: ["key", "load"],
        operands: "[OPTIONS] KEYFILE",
        summary: "Load a private key file for signing",
        options: #"      --name string   Name for the loaded key (default "signer")"#,
        flags: FlagTable(values: "name", switches: "help,h"),
        minimum: 1,
        takesMore: false
    )

    static let all = [inspect, revoke, sign, addSigner, removeSigner, generateKey, loadKey]

    /// What a group of commands prints of itself.
    static func help(of group: [String]) -> String? {
        switch group {
        case []:
            """
            Usage:  docker trust COMMAND

            Manage trust on Docker images

            Management Commands:
              key         Manage keys for signing Docker images
              signer      Manage entities who can sign Docker images

            Commands:
              inspect     Return low-level information about keys and signatures
              revoke      Remove trust for an image
              sign        Sign an image

            Run 'docker trust COMMAND --help' for more information on a command.

            """
        case ["key"]:
            """
            Usage:  docker trust key COMMAND

            Manage keys for signing Docker images

            Commands:
              generate    Generate and load a signing key-pair
              load        Load a private key file for signing

            Run 'docker trust key COMMAND --help' for more information on a command.

            """
        case ["signer"]:
            """
            Usage:  docker trust signer COMMAND

            Manage entities who can sign Docker images

            Commands:
              add         Add a signer
              remove      Remove a signer

            Run 'docker trust signer COMMAND --help' for more information on a command.

            """
        default: nil
        }
    }
}
