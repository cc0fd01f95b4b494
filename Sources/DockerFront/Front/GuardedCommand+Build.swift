// SPDX-License-Identifier: Apache-2.0

import Foundation
import OCI

extension GuardedCommand {
    /// `docker build`: of a Dockerfile in which every image has the digest that is signed for its tag.
    func build() async throws -> DockerFront.Outcome {
        var arguments = try await self.scan(.build)
        if Self.asksForHelp(arguments) { return self.unchanged }
        guard try self.isTrustOn(&arguments) else { return .handOver(self.command(arguments)) }
        let context = try self.onlyOperand(arguments)
        var images = BuildImages(command: self)
        try await images.pin(&arguments)

        switch try BuildInput(context: context, file: arguments.value("file")) {
        case .file(let path):
            let (bytes, ignored) = try await BuildInput.read(path)
            let trusted = try await images.pin(bytes, arguments)
            let file = try TemporaryDockerfile(name: (path as NSString).lastPathComponent, trusted, ignored: ignored)
            defer { file.remove() }
            arguments.remove("file")
            arguments.flags.append(ScannedArguments.Flag(name: "file", value: file.path))
            return try await self.build(arguments, images, input: nil)
        case .standardInput:
            let bytes = try await self.front.input()
            if context == "-" { try BuildInput.refuseArchive(bytes) }
            return try await self.build(arguments, images, input: try await images.pin(bytes, arguments))
        }
    }

    private func build(
        _ arguments: ScannedArguments,
        _ images: BuildImages,
        input: [UInt8]?
    ) async throws -> DockerFront.Outcome {
        let status = try await self.engine.run(self.command(arguments), output: .inherited, input: input)
        guard status == 0 else { return .ended(status) }
        // The classic builder leaves what it pulled in the engine, BuildKit does not.
        for (trusted, reference) in images.pinned {
            // What was built is built, whatever its images are called.
            do {
                if try await self.isPresent(trusted) { try await self.tag(trusted, as: reference) }
            } catch {
                self.console.report("WARNING: \(error)")
            }
        }
        return .ended(0)
    }
}

/// The images of a build, by what is signed for their tags.
struct BuildImages: Sendable {
    private let command: GuardedCommand
    private var trust: (any ImageTrust)?
    /// What was looked up: the image by content, and by tag.
    private(set) var pinned: [(trusted: ImageReference, reference: ImageReference)] = []

    init(command: GuardedCommand) {
        self.command = command
    }

    /// Replaces what flags name: contexts that are images, and the program that reads the Dockerfile.
    mutating func pin(_ arguments: inout ScannedArguments) async throws {
        for index in arguments.flags.indices {
            let flag = arguments.flags[index]
            guard let value = flag.value else { continue }
            if flag.name == "build-context", let scheme = value.range(of: "=docker-image://") {
                let name = String(value[scheme.upperBound...])
                arguments.flags[index].value = String(value[..<scheme.upperBound]) + (try await self.name(name))
            } else if flag.name == "build-arg" {
                let (name, text) = self.buildArgument(value)
                guard name == "BUILDKIT_SYNTAX", let text else { continue }
                let image = text.prefix { $0 != " " }
                arguments.flags[index].value =
                    "\(name)=" + (try await self.name(String(image))) + text.dropFirst(image.count)
            }
        }
    }

    /// Replaces what a Dockerfile names.
    mutating func pin(_ bytes: [UInt8], _ arguments: ScannedArguments) async throws -> [UInt8] {
        var file = try Dockerfile(bytes)
        var values: [String: String] = [:]
        for argument in arguments.allValues("build-arg") {
            let (name, value) = self.buildArgument(argument)
            // Docker leaves out one that is not set.
            if let value { values[name] = value }
        }
        let contexts = arguments.allValues("build-context").map { String($0.prefix { $0 != "=" }) }
        let images = try DockerfileImages(
            of: file,
            arguments: values,
            contexts: Set(contexts.map(DockerfileImages.contextName))
        )
        // From the end, so that what stands before stays where it is.
        var replacements: [(DockerfileImage, String)] = []
        for image in images.images {
            replacements.append((image, image.isImage ? try await self.name(image.name) : image.name))
        }
        for (image, name) in replacements.sorted(by: {
            ($0.0.line, $0.0.columns.lowerBound) > ($1.0.line, $1.0.columns.lowerBound)
        }) {
            file.replace(image.columns, of: image.line, with: name)
        }
        return file.bytes
    }

    /// An image's name with the digest that is signed for its tag.
    private mutating func name(_ text: String) async throws -> String {
        let argument = try ImageArgument(text)
        guard case .tag(let reference, _) = argument else {
            try await self.command.check(content: argument)
            return text
        }
        if let known = self.pinned.first(where: { $0.reference == reference }) {
            return known.trusted.familiarDescription
        }
        let trust = try self.trust ?? self.command.openTrust()
        self.trust = trust
        let trusted = try reference.byContent(try await trust.digest(of: reference))
        self.pinned.append((trusted, reference))
        return trusted.familiarDescription
    }

    /// `NAME=VALUE`, or `NAME` for that of the environment.
    private func buildArgument(_ text: String) -> (name: String, value: String?) {
        let name = String(text.prefix { $0 != "=" })
        return (
            name,
            text.count > name.count ? String(text.dropFirst(name.count + 1)) : self.command.front.environment[name]
        )
    }
}
