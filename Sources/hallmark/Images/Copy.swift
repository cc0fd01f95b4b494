// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Logging
import OCI
import RegistryClient

/// `hallmark copy`
struct Copy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy an image, a repository or a whole registry from one registry to another.",
        discussion: """
            Content is verified while it streams and never held whole; what the destination has is left alone, so running \
            a copy again does only what is missing. Signatures and whatever else refers to an image come along. \
            Without --trust nobody is asked what is signed, and nothing is.

            With --trust, only what is signed in the source is copied, whatever its tags mean in the registry now, and it is \
            signed in the destination with the keys here: all tags of a repository in one publish. What is signed there as the \
            same already is left alone.

              hallmark copy old.example/app:1.0 new.example/app:1.0     one image, all its platforms
              hallmark copy --all old.example/app new.example/app       a repository with its tags
              hallmark copy --all old.example new.example               a registry, by its catalog
              hallmark copy --all old.example new.example/old           the same, below a name
              hallmark copy --trust old.example/app:1.0 new.example/app:1.0   what is signed, to be signed
              hallmark copy --trust --all old.example/app new.example/app     all signed tags
            """
    )

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME with :TAG or @DIGEST; REGISTRY[/NAME] with --all.", valueName: "source")
    )
    var source: String

    @Argument(
        help: ArgumentHelp(
            "REGISTRY/NAME[:TAG]; REGISTRY[/NAME] with --all. The source's tag is taken when there is none.",
            valueName: "destination"
        )
    )
    var destination: String

    @Flag(help: "All tags of a repository, or all repositories of a registry.")
    var all = false

    @Option(
        help: ArgumentHelp(
            """
            With --all, only repositories, or REPOSITORIES:TAGS, that match; repeatable. * is any text without a slash, \
            ** any text.
            """,
            valueName: "pattern"
        ),
        transform: CopyFilter.Rule.init(argument:)
    )
    var include: [CopyFilter.Rule] = []

    @Option(
        help: ArgumentHelp("With --all, not those; repeatable.", valueName: "pattern"),
        transform: CopyFilter.Rule.init(argument:)
    )
    var exclude: [CopyFilter.Rule] = []

    @Option(
        help: ArgumentHelp(
            "Of images for several platforms only this one, such as linux/arm64: their digests become others.",
            valueName: "platform"
        ),
        transform: Platform.init(argument:)
    )
    var platform: Platform?

    @Flag(name: .customLong("no-referrers"), help: "Leave out signatures and whatever else refers to images.")
    var leavesReferrers = false

    @Flag(name: .customLong("no-clobber"), help: "Leave tags alone that mean something else in the destination.")
    var keepsTags = false

    @Flag(name: .customLong("dry-run"), help: "Say what would be copied, and copy nothing.")
    var isRehearsal = false

    @Option(
        name: [.customShort("j"), .long],
        help: ArgumentHelp("How many blobs to copy at once.", valueName: "number")
    )
    var jobs = 8

    @Flag(name: .customLong("src-plain-http"), help: "Speak plain HTTP to the source.")
    var isSourcePlain = false

    @Flag(name: .customLong("dst-plain-http"), help: "Speak plain HTTP to the destination.")
    var isDestinationPlain = false

    @Flag(name: .customLong("trust"), help: "Copy what is signed in the source, and sign it in the destination.")
    var isTrusted = false

    @Option(
        name: .customLong("src-server"),
        help: ArgumentHelp("With --trust, the trust server of the source. Default: as --server.", valueName: "url")
    )
    var sourceServer: String?

    @Option(
        name: .customLong("dst-server"),
        help: ArgumentHelp("With --trust, that of the destination. Default: as --server.", valueName: "url")
    )
    var destinationServer: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...64).contains(self.jobs) else { throw ValidationError("--jobs is a number from 1 to 64") }
        guard self.all || (self.include.isEmpty && self.exclude.isEmpty) else {
            throw ValidationError("--include and --exclude choose among what --all copies")
        }
        for server in [self.sourceServer, self.destinationServer].compactMap({ $0 }) {
            guard server.hasPrefix("https://") else {
                throw ValidationError("valid https URL required for trust server, got \(server)")
            }
            guard self.isTrusted else { throw ValidationError("--src-server and --dst-server are for --trust") }
        }
        if self.isTrusted {
            guard self.platform == nil else {
                throw ValidationError("what is signed is the whole index: --trust cannot go with --platform")
            }
            guard !self.keepsTags else { throw ValidationError("--trust cannot go with --no-clobber") }
            if case .registry = try self.task {
                throw ValidationError("with --trust name repositories: \(self.source)/NAME")
            }
        }
        _ = try self.task
    }

    var task: CopyTask {
        get throws {
            self.all
                ? try CopyTask(all: self.source, to: self.destination)
                : try CopyTask(image: self.source, to: self.destination)
        }
    }

    func run() async throws {
        let task = try self.task
        var options = RegistryCopier.Options()
        options.platform = self.platform
        options.includesReferrers = !self.leavesReferrers
        options.keepsTags = self.keepsTags
        options.isRehearsal = self.isRehearsal
        options.concurrency = self.jobs
        let filter = CopyFilter(include: self.include, exclude: self.exclude)
        let display = CopyDisplay(isEnabled: self.output.output == .text)
        let chosen = options
        let trusted = self.isTrusted ? try await TrustedCopy(self, filter) : nil
        let report: CopyReport
        do {
            report = try await Interruption.guarding {
                try await self.connected(task.sourceRegistry, chosen, isPlain: self.isSourcePlain, isDestination: false)
                { source in
                    try await self.connected(
                        task.destinationRegistry,
                        chosen,
                        isPlain: self.isDestinationPlain,
                        isDestination: true
                    ) { destination in
                        let progress = CopyProgress()
                        let copier = RegistryCopier(from: source, to: destination, options: chosen, progress: progress)
                        return try await display.showing(progress) {
                            if let trusted { return try await trusted.copy(copier) }
                            return try await task.run(copier, filter)
                        }
                    }
                }
            }
        } catch let error as CommandError where error.code == .interrupted {
            throw CommandError(.interrupted, "interrupted; run it again to copy what is missing")
        }
        let signed = self.isRehearsal ? [] : try await trusted?.sign(after: report) ?? []
        CopyOutput(report, isRehearsal: self.isRehearsal, signed: trusted == nil ? nil : signed).write(
            as: self.output.output
        )
        if let status = CopyOutput.status(report.failures) {
            throw CommandError(status, "\(report.failures.count) of the images could not be copied, or not whole")
        }
    }

    /// Opens a registry for the time that the body runs, and sees that it is one.
    private func connected<Result: Sendable>(
        _ registry: String,
        _ options: RegistryCopier.Options,
        isPlain: Bool,
        isDestination: Bool,
        _ body: (RegistryClient) async throws -> Result
    ) async throws -> Result {
        let settings = try self.trust.settings
        var configuration = try settings.registryConfiguration(for: registry)
        configuration.maximumConnections = options.connections
        // Who moves a registry would rather wait than fail.
        configuration.maximumBackoff = .seconds(120)
        if isPlain { configuration.scheme = .http }
        let level: Logger.Level = self.trust.debug ? .trace : .warning
        let client = try RegistryClient(
            registry: registry,
            configuration: configuration,
            credentials: settings.registryCredentials,
            logger: Logger(label: "hallmark") { label in
                var handler = StreamLogHandler.standardError(label: label)
                handler.logLevel = level
                return handler
            }
        )
        do {
            try await Self.greet(client, mustKnowUs: isDestination)
            let result = try await body(client)
            try await client.shutdown()
            return result
        } catch {
            // What stopped the body is what matters.
            try? await client.shutdown()
            throw error
        }
    }
}

extension Copy {
    /// Sees that there is a registry. Some want to know at its door who comes, and let anybody pull all the same.
    private static func greet(_ client: RegistryClient, mustKnowUs: Bool) async throws {
        do {
            try await client.ping()
        } catch let error as RegistryError where error.code == .unauthorized && !mustKnowUs {
            return
        }
    }
}

extension CopyFilter.Rule {
    init(argument: String) throws {
        do {
            try self.init(argument)
        } catch {
            throw ValidationError("\(error)")
        }
    }
}
