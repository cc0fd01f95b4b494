// SPDX-License-Identifier: Apache-2.0

import OCI

/// One of docker's commands that name images.
struct GuardedCommand: Sendable {
    let front: DockerFront
    let line: DockerCommandLine

    var engine: any DockerEngine { self.front.engine }
    var console: Console { self.front.console }

    func run() async throws -> DockerFront.Outcome {
        switch self.line.verb {
        case .pull: try await self.pull()
        case .push: try await self.push()
        case .run, .create: try await self.start()
        case .build: try await self.build()
        case .serviceCreate: try await self.createService()
        case .serviceUpdate: try await self.updateService()
        case .plugin: try await self.plugin()
        case .trust, .other: self.unchanged
        }
    }

    // MARK: Arguments

    /// Takes the arguments apart; what this table does not know, the help of the docker that is there may.
    /// - Throws: ``DockerFrontError`` with code `usage` for a flag that neither knows: an image might be taken for its value.
    func scan(_ table: FlagTable, stopsAtFirst: Bool = false) async throws -> ScannedArguments {
        do {
            return try ScannedArguments(self.line.arguments, table: table, stopsAtFirst: stopsAtFirst)
        } catch is ScannedArguments.UnknownFlag {
            let help = try await self.engine.capture(
                self.line.globalArguments + self.line.words.filter { !$0.hasPrefix("-") } + ["--help"]
            )
            do {
                return try ScannedArguments(
                    self.line.arguments,
                    table: table.adding(FlagTable(help: help.output)),
                    stopsAtFirst: stopsAtFirst
                )
            } catch let unknown as ScannedArguments.UnknownFlag {
                throw DockerFrontError(
                    .usage,
                    unknown.text.hasPrefix("--")
                        ? "unknown flag: \(unknown.text)" : "unknown shorthand flag: '\(unknown.text.dropFirst())'"
                )
            }
        }
    }

    /// Whether content trust is on for this command; takes the flag that says so out of the arguments, as docker is to lose it.
    func isTrustOn(_ arguments: inout ScannedArguments) throws -> Bool {
        let name = "disable-content-trust"
        if let flag = arguments.flags.last(where: { $0.name == name }), let value = flag.value,
            BooleanText.isTrue(value) == nil
        {
            throw DockerFrontError(
                .usage,
                "invalid argument \"\(value)\" for \"--\(name)\" flag: must be true or false"
            )
        }
        let isOff = arguments.isSet(name) ?? !self.front.isOnByDefault
        arguments.remove(name)
        return !isOff
    }

    /// Whether only the command's own help is asked for.
    static func asksForHelp(_ arguments: ScannedArguments) -> Bool { arguments.isSet("help") == true }

    /// The image or context, which is all that the command takes. Docker is not asked what is wrong with another number: it may count
    /// in another way.
    /// - Throws: ``DockerFrontError`` with code `reference`.
    func onlyOperand(_ arguments: ScannedArguments) throws -> String {
        guard let operand = arguments.positionals.first, arguments.positionals.count == 1 else {
            throw DockerFrontError(.reference, "'docker \(self.line.words.joined(separator: " "))' requires 1 argument")
        }
        return operand
    }

    /// The image, behind which a command may follow.
    /// - Throws: ``DockerFrontError`` with code `reference`.
    func firstOperand(_ arguments: ScannedArguments) throws -> String {
        guard let operand = arguments.positionals.first else {
            let name = self.line.words.joined(separator: " ")
            throw DockerFrontError(.reference, "'docker \(name)' requires at least 1 argument")
        }
        return operand
    }

    /// Refuses `--mount type=image,…`, which brings a second image into the container.
    /// - Throws: ``DockerFrontError`` with code `untrusted`.
    static func refuseImageMounts(_ arguments: ScannedArguments) throws {
        for value in ["mount", "mount-add"].flatMap(arguments.allValues) {
            let plain = value.lowercased().filter { $0 != "\"" && !$0.isWhitespace }
            guard plain.split(separator: ",").contains("type=image") else { continue }
            throw DockerFrontError(
                .untrusted,
                "--mount \(value): images that are mounted are not checked: copy the files out of one that is pulled, or say "
                    + "--disable-content-trust if you trust it"
            )
        }
    }

    /// Docker's own arguments before and at the command.
    func command(_ arguments: ScannedArguments) -> [String] {
        self.line.globalArguments + self.line.words + arguments.arguments
    }

    /// Docker, as it was asked.
    var unchanged: DockerFront.Outcome {
        .handOver(self.line.globalArguments + self.line.words + self.line.arguments)
    }

    // MARK: Trust

    /// What is signed, according to the configuration that docker was told to use.
    func openTrust() throws -> any ImageTrust {
        try self.front.trust(self.line.configurationDirectory)
    }

    /// Lets an image by content pass, as docker did, unless everything has to be signed.
    func check(content argument: ImageArgument) async throws {
        guard self.front.isStrict else { return }
        switch argument {
        case .tag: return
        case .id(let id):
            throw DockerFrontError(
                .untrusted,
                "\(id) is the id of an image, of which nobody can have signed anything (\(DockerFront.strictVariable) is set)"
            )
        case .digest(let reference):
            let signed = try await self.openTrust().tags(of: reference)
            guard signed.contains(where: { $0.digest == reference.digest }) else {
                throw DockerFrontError(
                    .untrusted,
                    "\(reference.familiarDescription): no tag is signed with this digest (\(DockerFront.strictVariable) is set)"
                )
            }
        }
    }

    /// Gives what was pulled by digest its tag.
    /// - Throws: ``DockerFrontError`` with code `docker`.
    func tag(_ trusted: ImageReference, as reference: ImageReference) async throws {
        let (name, tag) = (trusted.familiarDescription, reference.familiarDescription)
        self.console.report("Tagging \(name) as \(tag)")
        let status = try await self.engine.run(
            self.line.globalArguments + ["tag", name, tag],
            output: .inherited,
            input: []
        )
        guard status == 0 else { throw DockerFrontError(.docker, "docker tag \(name) \(tag) ended with \(status)") }
    }

    /// Whether the engine has an image.
    func isPresent(_ reference: ImageReference) async throws -> Bool {
        let arguments = ["image", "inspect", "--format", "{{.Id}}", reference.familiarDescription]
        return try await self.engine.capture(self.line.globalArguments + arguments).status == 0
    }
}
